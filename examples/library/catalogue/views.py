"""The pages: a list, a book, a form with an upload, a protected download, and a stream."""

import csv
from urllib.parse import quote

from django.contrib.auth.decorators import login_required
from django.contrib.messages.views import SuccessMessageMixin
from django.db.models import Q
from django.http import FileResponse, StreamingHttpResponse
from django.shortcuts import get_object_or_404
from django.views.decorators.http import require_safe
from django.views.generic import CreateView, DetailView, ListView

from .models import Book


class BookList(ListView):
    model = Book
    paginate_by = 12

    def get_queryset(self):
        words = self.request.GET.get("q", "").split()
        books = super().get_queryset()
        for word in words:
            books = books.filter(Q(title__icontains=word) | Q(author__icontains=word))
        return books


class BookDetail(DetailView):
    model = Book


class BookCreate(SuccessMessageMixin, CreateView):
    model = Book
    fields = ["title", "author", "year", "summary", "cover"]
    success_message = "“%(title)s” is on the shelf."


@require_safe
@login_required
def notes(request, pk):
    """The reading notes, for members.

    A server that knows X-Accel-Redirect (Penstock, nginx) drops this body and sends the file itself, with ranges and
    validators. Any other sends the body: the view is right under both, and imports neither.
    """
    book = get_object_or_404(Book.objects.exclude(notes=""), pk=pk)
    response = FileResponse(book.notes.open(), as_attachment=True, filename=book.notes.name)
    response["X-Accel-Redirect"] = "/protected/" + quote(book.notes.name)
    return response


class _Line:
    """What csv.writer writes to: hands each line back instead of keeping it."""

    def write(self, line):
        return line


@require_safe
def catalogue_csv(request):
    """The whole catalogue, one row at a time: it never lies in memory as a whole."""
    writer = csv.writer(_Line())

    def lines():
        yield writer.writerow(["title", "author", "year"])
        for book in Book.objects.values_list("title", "author", "year").iterator():
            yield writer.writerow(book)

    return StreamingHttpResponse(
        lines(),
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": 'attachment; filename="catalogue.csv"'},
    )
