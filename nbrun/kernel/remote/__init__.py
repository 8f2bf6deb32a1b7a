"""A kernel that a gateway runs elsewhere: started or found, used over a websocket, and ended."""
