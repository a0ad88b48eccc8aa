"""The first table: books."""

import django.core.validators
from django.db import migrations, models

import catalogue.models


class Migration(migrations.Migration):
    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="Book",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("title", models.CharField(max_length=200)),
                ("author", models.CharField(max_length=200)),
                (
                    "year",
                    models.PositiveSmallIntegerField(
                        validators=[
                            django.core.validators.MinValueValidator(1450),
                            django.core.validators.MaxValueValidator(2100),
                        ]
                    ),
                ),
                ("summary", models.TextField(blank=True)),
                (
                    "cover",
                    models.ImageField(
                        blank=True,
                        upload_to="covers/",
                        validators=[
                            django.core.validators.FileExtensionValidator(["jpg", "jpeg", "png", "webp"]),
                        ],
                    ),
                ),
                (
                    "notes",
                    models.FileField(
                        blank=True,
                        storage=catalogue.models.protected_storage,
                        upload_to="",
                        verbose_name="reading notes",
                    ),
                ),
            ],
            options={"ordering": ["title", "pk"]},
        ),
    ]
