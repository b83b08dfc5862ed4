"""A class: hand-ins taken in, run in batches, compared, exported."""
