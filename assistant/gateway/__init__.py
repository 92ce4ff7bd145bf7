"""The only room that knows HTTP and websockets. ``README.md`` tells what it promises to clients."""
