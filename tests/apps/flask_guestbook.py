"""A Flask application: a form, an upload, a stream. It refuses an empty signature with 400."""

from flask import Flask, abort, redirect, request, url_for

app = Flask(__name__)
signatures = []


@app.get("/")
def read():
    return {"signatures": signatures}


@app.post("/sign")
def sign():
    name = request.form["name"].strip() or abort(400)
    signatures.append(name)
    return redirect(url_for("read"))


@app.post("/pictures")
def picture():
    upload = request.files["picture"]
    return {"name": upload.filename, "size": len(upload.read()), "host": request.host, "scheme": request.scheme}


@app.get("/stream")
def stream():
    return (f"line {number}\n" for number in range(3))
