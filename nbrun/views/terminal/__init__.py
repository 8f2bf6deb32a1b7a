"""A run on a terminal, live or replayed; its menus; and the tables that commands print."""
