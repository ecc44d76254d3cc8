"""The journal: the events of the last weeks in a file, over restarts, crashes and full disks."""
