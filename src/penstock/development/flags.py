"""The options of `penstock runserver`. Imports nothing, for every command builds the parser of all."""

# Django's names, and what they do.
FLAGS = {
    ("--ipv6", "-6"): "listen on an IPv6 address",
    ("--noreload",): "do not start anew when a file changes",
    ("--nothreading",): "call the application from one thread only",
    ("--nostatic",): "do not serve the files below STATIC_URL",
    ("--insecure",): "serve them also when DEBUG is off",
    ("--norefresh",): "do not show pages anew in the browser when their files have changed",
    ("--skip-checks",): "do not run the system checks",
    ("--no-color",): "write without colours",
    ("--force-color",): "write with colours also when nobody seems to look",
}
