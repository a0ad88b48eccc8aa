"""A book, its cover for everybody, and its reading notes for members only."""

from django.core.files.storage import storages
from django.core.validators import FileExtensionValidator, MaxValueValidator, MinValueValidator
from django.db import models
from django.urls import reverse


def protected_storage():
    return storages["protected"]


class Book(models.Model):
    title = models.CharField(max_length=200)
    author = models.CharField(max_length=200)
    year = models.PositiveSmallIntegerField(validators=[MinValueValidator(1450), MaxValueValidator(2100)])
    summary = models.TextField(blank=True)
    cover = models.ImageField(
        upload_to="covers/",
        blank=True,
        # Formats that are pictures and nothing else: an SVG may carry a script.
        validators=[FileExtensionValidator(["jpg", "jpeg", "png", "webp"])],
    )
    notes = models.FileField("reading notes", storage=protected_storage, blank=True)

    class Meta:
        ordering = ["title", "pk"]

    def __str__(self):
        return f"{self.title} ({self.author}, {self.year})"

    def get_absolute_url(self):
        return reverse("book-detail", args=[self.pk])
