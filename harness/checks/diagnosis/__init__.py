"""From a symptom to its cause: the program's own traceback, and a look at its source where the symptom agrees."""
