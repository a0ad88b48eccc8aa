"""What stands between the engine and the application: WSGI in, WSGI out. Imports no Django."""
