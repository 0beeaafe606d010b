"""What a scenario is. Pure: no I/O, no clock."""
