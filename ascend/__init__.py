"""Ascend's rank tables and config_file.ini: read, checked, written. Standard library only.

rank_table.py  the command: write a table, join tables, convert one, check one
config.py      config_file.ini, and the command that checks it
devices.py     which device_id a process needs for a device of the table
server.py      which of a table's servers this machine is
table.py       a table read from its file, and the ranks in it
check.py       what is wrong with a table
forms.py       tables as other tools write them
make.py        a table made of devices and addresses, or of other tables
driver.py      what the driver says about this server's devices
text.py        the text of a file, and where it isn't UTF-8
"""

import ranks


class Refused(ranks.Stop):
    """A rank table or a configuration is wrong: the message says where, what, and what to do. Status 2."""

    def __init__(self, message):
        super().__init__(ranks.REFUSED, message)
