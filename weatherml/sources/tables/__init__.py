"""Tables of daily values: their files, their calendar, and the division into parts."""
