"""The addresses of the site."""

from catalogue import views
from django.conf import settings
from django.conf.urls.static import static
from django.contrib import admin
from django.contrib.auth.views import LoginView, LogoutView
from django.urls import path

urlpatterns = [
    path("", views.BookList.as_view(), name="book-list"),
    path("books/add/", views.BookCreate.as_view(), name="book-add"),
    path("books/<int:pk>/", views.BookDetail.as_view(), name="book-detail"),
    path("books/<int:pk>/notes/", views.notes, name="book-notes"),
    path("catalogue.csv", views.catalogue_csv, name="catalogue-csv"),
    path("accounts/login/", LoginView.as_view(), name="login"),
    path("accounts/logout/", LogoutView.as_view(), name="logout"),
    path("admin/", admin.site.urls),
    # In DEBUG only, and empty otherwise: for servers that leave media files to the application.
    *static(settings.MEDIA_URL, document_root=settings.MEDIA_ROOT),
]
