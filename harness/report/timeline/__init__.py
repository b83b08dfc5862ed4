"""Time lines: what each thread of a server and each of its clients was doing, and where it waited."""
