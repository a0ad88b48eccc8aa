"""Processes beside the web, jobs at set times, and the release command: started, watched and stopped with the site."""
