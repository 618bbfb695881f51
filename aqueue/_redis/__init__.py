"""The only room that knows Redis: key names, scripts, operations, and the clients that run them."""
