"""The page in the browser shows itself anew when a file is saved, and stays as it is when nobody wants that."""

import pytest
from developing import developing, write_project
from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait


@pytest.fixture
def project(tmp_path):
    return write_project(tmp_path / "project")


def wait_for_words(browser, words):
    # A page that is replaced while it is read is looked at again.
    wait = WebDriverWait(browser, 60, ignored_exceptions=[StaleElementReferenceException])
    wait.until(lambda _: words in browser.find_element(By.TAG_NAME, "body").text)


def test_the_page_follows_templates_styles_and_code_and_mended_mistakes(project, browser):
    with developing(project) as server:
        server.wait_until_ready()
        browser.get(server.address + "/")
        wait_for_words(browser, "first words")
        server.save("shelf/templates/page.html", "first", "other")
        wait_for_words(browser, "other words")

        server.save("shelf/views.py", '"page.html")', '"page.html", {"late": missing_name})\n\nmissing_name')
        wait_for_words(browser, "missing_name' is not defined")
        server.save("shelf/views.py", ', {"late": missing_name})\n\nmissing_name', ")")
        wait_for_words(browser, "other words")

        browser.execute_script("document.title = 'seen'")
        server.save("shelf/static/shelf.css", "black", "green")
        WebDriverWait(browser, 60).until(lambda _: browser.title == "Shelf")


def test_norefresh_leaves_pages_alone(project):
    with developing(project, "--norefresh") as server:
        server.wait_until_ready()
        assert "<script" not in server.get("/", headers={"Accept": "text/html"}).text


def test_penstock_toml_may_turn_refreshing_off(project):
    project.joinpath("penstock.toml").write_text("[site]\nrefresh = false\n")
    with developing(project) as server:
        server.wait_until_ready()
        assert "<script" not in server.get("/", headers={"Accept": "text/html"}).text
