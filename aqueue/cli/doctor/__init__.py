"""`aqueue doctor`: what is wrong with a server, a user's permissions or a namespace, and what to change."""
