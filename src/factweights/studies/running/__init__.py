"""Runs cells: here, on several processes or machines, kept one by one."""
