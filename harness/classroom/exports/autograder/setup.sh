#!/usr/bin/env bash
# Gradescope runs this once, as root, when it builds the image in which hand-ins are graded.
#
# The kit needs Python 3.11 or later, and the image (Ubuntu 22.04) has 3.10, which Gradescope's own harness needs: that
# one stays as it is. The other one comes by uv, which takes a ready-made Python for any Linux and processor from one
# archive, or where that is out of reach by apt from deadsnakes, which has packages for Ubuntu alone. It goes to
# /opt, not to root's home: the programs that are graded run as another user, who has to get to it.
set -euo pipefail
export DEBIAN_FRONTEND=noninteractive UV_PYTHON_INSTALL_DIR=/opt/python
umask 022
cd "$(dirname "${BASH_SOURCE[0]}")"

new_enough() { "$1" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))'; }

by_uv() {
    python3 -m venv /opt/uv &&
        /opt/uv/bin/pip install --quiet uv &&
        /opt/uv/bin/uv python install --no-bin "$WANTED" &&
        PYTHON=$(/opt/uv/bin/uv python find --managed-python "$WANTED")
}

by_deadsnakes() {
    apt-get install -y software-properties-common &&
        add-apt-repository -y ppa:deadsnakes/ppa &&
        apt-get install -y "python$WANTED" "python$WANTED-venv" &&
        PYTHON=$(command -v "python$WANTED")
}

WANTED=3.13
apt-get update
apt-get install -y --no-install-recommends ca-certificates python3-venv util-linux
apt-get install -y --no-install-recommends bubblewrap || echo "without bubblewrap: a weaker tier will do"

PYTHON=$(command -v python3)
if ! new_enough "$PYTHON"; then
    by_uv || by_deadsnakes
fi
new_enough "$PYTHON"

"$PYTHON" lab --version
chmod -R a+rX,go-w .
