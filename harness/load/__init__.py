"""Many clients at once: every reply checked, every latency kept, nothing averaged away."""
