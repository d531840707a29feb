"""The command line: one file a command; each parses options, calls one function of a stage, and prints."""
