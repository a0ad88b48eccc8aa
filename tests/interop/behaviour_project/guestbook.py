"""A Flask application to be mounted below a path of the project."""

from flask import Flask, redirect, request, url_for

app = application = Flask(__name__)


@app.get("/")
def read():
    return {"SCRIPT_NAME": request.environ["SCRIPT_NAME"], "PATH_INFO": request.environ["PATH_INFO"]}


@app.post("/sign")
def sign():
    return redirect(url_for("read"))
