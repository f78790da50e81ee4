"""How fast the package trains, starts and reads, next to what a user would pick instead."""
