"""What must hold: the checks of every lab, the plugin that makes them, and the verdicts."""
