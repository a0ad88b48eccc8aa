"""The example's own tests: the pages by Django's test client, without any server."""

import io
import tempfile

from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import TestCase, override_settings
from django.urls import reverse
from PIL import Image

from .models import Book


def picture():
    content = io.BytesIO()
    Image.new("RGB", (40, 60), "#1f5f5b").save(content, "PNG")
    return SimpleUploadedFile("cover.png", content.getvalue(), "image/png")


class CatalogueTests(TestCase):
    fixtures = ["books"]

    def test_the_list_shows_every_book(self):
        page = self.client.get(reverse("book-list"))
        for book in Book.objects.all():
            self.assertContains(page, book.get_absolute_url())

    def test_a_search_looks_at_title_and_author(self):
        page = self.client.get(reverse("book-list"), {"q": "walden thoreau"})
        self.assertQuerySetEqual(page.context["book_list"], Book.objects.filter(title="Walden"))

    def test_a_book_is_added_with_its_cover(self):
        with tempfile.TemporaryDirectory() as media, override_settings(MEDIA_ROOT=media):
            book = {"title": "Emma", "author": "Jane Austen", "year": 1815, "cover": picture()}
            page = self.client.post(reverse("book-add"), book, follow=True)
            self.assertContains(page, "“Emma” is on the shelf.")
            self.assertContains(page, 'src="/media/covers/cover')

    def test_a_cover_that_is_no_picture_is_refused(self):
        book = {"title": "Emma", "author": "Jane Austen", "year": 1815}
        page = self.client.post(reverse("book-add"), {**book, "cover": SimpleUploadedFile("cover.png", b"no picture")})
        self.assertIn("cover", page.context["form"].errors)

    def test_reading_notes_are_for_members(self):
        address = reverse("book-notes", args=[Book.objects.get(title="Walden").pk])
        self.assertRedirects(self.client.get(address), f"{reverse('login')}?next={address}")
        self.client.login(username="librarian", password="library")
        answer = self.client.get(address)
        self.assertEqual(answer["X-Accel-Redirect"], "/protected/walden.txt")
        self.assertIn(b"Walden: reading notes", answer.getvalue())

    def test_the_catalogue_is_streamed(self):
        answer = self.client.get(reverse("catalogue-csv"))
        self.assertTrue(answer.streaming)
        self.assertEqual(len(list(answer)), 1 + Book.objects.count())
