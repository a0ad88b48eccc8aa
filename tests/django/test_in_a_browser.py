"""The same sites in a real browser: many connections at once, conditional requests, scripts, large forms."""

from running_site import serve
from selenium.webdriver.common.by import By
from selenium.webdriver.support import expected_conditions
from selenium.webdriver.support.wait import WebDriverWait

# True when each picture of the page's content has arrived and could be decoded. Outside of it Wagtail shows an avatar
# from another host.
PICTURES_ARE_SHOWN = """
const pictures = [...document.querySelectorAll("main img")];
return pictures.length > 0 && pictures.every(picture => picture.naturalWidth > 0);
"""
STYLES_ARE_APPLIED = "return [...document.styleSheets].length > 0 && [...document.styleSheets].every(s => s.cssRules)"


def wait(browser, condition):
    return WebDriverWait(browser, 60).until(condition)


def shows(script):
    return lambda browser: browser.execute_script(script)


def fill(browser, **fields):
    for name, text in fields.items():
        browser.find_element(By.NAME, name).send_keys(text)


def submit(browser, selector):
    """Presses the button and waits until the page is another one."""
    button = browser.find_element(By.CSS_SELECTOR, selector)
    button.click()
    wait(browser, expected_conditions.staleness_of(button))


def test_a_librarian_adds_a_book_in_djangos_admin_and_finds_it_on_the_shelf(library, browser, picture):
    with serve(library, DJANGO_DEBUG="1") as site:
        browser.get(site.address + "/admin/")
        fill(browser, username="librarian", password="library")
        submit(browser, "[type=submit]")
        browser.get(site.address + "/admin/catalogue/book/add/")
        fill(browser, title="Persuasion", author="Jane Austen", year="1817", cover=str(picture))
        submit(browser, "[name=_save]")
        assert "was added successfully" in browser.find_element(By.CLASS_NAME, "success").text

        browser.get(site.address + "/?q=persuasion")
        wait(browser, shows(PICTURES_ARE_SHOWN))
        assert browser.execute_script(STYLES_ARE_APPLIED)
        browser.find_element(By.LINK_TEXT, "Persuasion").click()
        wait(browser, expected_conditions.title_is("Persuasion"))


def test_an_editor_uploads_an_image_to_wagtail_and_browses_the_site(wagtail_project, browser, picture):
    with serve(wagtail_project) as site:
        browser.get(site.address + "/admin/")
        fill(browser, username="editor", password="correct-horse")
        submit(browser, "[type=submit]")
        browser.get(site.address + "/admin/images/add/")
        fill(browser, title="A river in the browser", file=str(picture))
        submit(browser, "main form [type=submit]")
        wait(browser, shows(PICTURES_ARE_SHOWN))
        assert "A river in the browser" in browser.page_source

        browser.get(site.address + "/")
        assert "Welcome to your new Wagtail site!" in browser.page_source
        assert browser.execute_script(STYLES_ARE_APPLIED)
