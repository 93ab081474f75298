"""The search for card numbers where none belong: in every text column, in files and in logs.

A finding is a place, a brand and the last four digits. No digit more leaves the module that read it.
"""
