"""Running runbooks from the page: a real server, a real browser, real commands."""

from __future__ import annotations

import json
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect

from tests.base import Base
from tests.e2e.browser import Watch
from tests.server.serving import Served, serving, site, sleeping, until

HELPER = """
from runbook.model import Evidence, Finding, Verdict
def parse(captures):
    return {"said": captures["a"].stdout.decode().split("\\n")[0]}
def judge(facts):
    evidence = (Evidence("a", "stdout", 1, 1),)
    yield Finding("said", Verdict.WARNING, "It said " + facts["said"], "Because.", "    echo again", evidence)
"""
PROMPT = "read -p 'Name: ' name; stty -echo; read -p 'Code: ' code; stty echo; echo; echo \"got $name ${#code}\""
HOSTILE = r"\033[1;31m<img src=x onerror=alert(1)>\033[0m <script>alert(2)</script> \033]8;;javascript:alert(3)\007x\n"


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Base:
    made = Base(tmp_path_factory.mktemp("live"))
    word = {"name": "word", "type": "string", "pattern": "[a-z ]+", "default": "well", "help": "What to say."}
    limit = {"name": "limit", "type": "integer", "help": "A number."}
    port = {"name": "port", "type": "interface", "help": "A network device."}
    level = {"name": "level", "type": "choice", "choices": ["low", "high"], "default": "low"}
    step = {"argv": ["echo", "{word}"]}
    findings = {"said": "It said something."}
    made.runbook("say", [step], HELPER, parameters=[word, limit, port, level], findings=findings)
    made.runbook("slow", [{"argv": ["sh", "-c", "echo begun; sleep 300 & sleep 300"]}])
    made.runbook("ask", [{"argv": ["bash", "-c", PROMPT], "terminal": True}])
    made.runbook("touch", [{"argv": ["touch", str(made.path / "touched")], "effect": "change", "undo": ["rm", "x"]}])
    made.runbook("hostile", [{"argv": ["printf", HOSTILE]}, {"argv": ["sh", "-c", "printf '<b>bad' >&2; exit 3"]}])
    made.runbook("much", [{"argv": ["seq", "300000"]}])
    made.runbook("inside", [{"argv": ["cat", "/etc/hostname-of-lab"]}])
    made.lab("inside", "echo built by the lab > /etc/hostname-of-lab\n")
    site(made, other="# Other\n\nNothing runs here.\n")
    return made


@pytest.fixture
def page(context: BrowserContext, served: Served) -> Iterator[Page]:
    """A page that holds the key, and may not log a fault or ask another host."""
    made = context.new_page()
    watch = Watch(made, served.home)
    made.goto(served.url)
    yield made
    assert watch.faults == []


def card(page: Page, name: str) -> Locator:
    return page.locator(f'.rb[data-rb-name="{name}"]')


def press(place: Locator | Page, name: str) -> None:
    place.get_by_role("button", name=name, exact=True).click()


def plan(page: Page, name: str) -> Locator:
    """The card, with the plan that comes before a run."""
    found = card(page, name)
    press(found, "Run on this host…")
    expect(found.locator(".rb-plan li").first).to_be_visible()
    return found


def begin(page: Page, name: str) -> Locator:
    found = plan(page, name)
    press(found, "Run on this host")
    return found


def end(page: Page) -> None:
    """Cancel what still runs."""
    for button in page.get_by_role("button", name="Cancel", exact=True).all():
        button.click()


# a run


def test_the_key_leaves_the_address(page: Page, served: Served) -> None:
    assert page.url == served.home
    assert served.token not in page.content()
    assert (
        page.evaluate("document.cookie + JSON.stringify({...localStorage}) + JSON.stringify({...sessionStorage})").find(
            served.token
        )
        < 0
    )


def test_first_the_plan_and_then_the_run(page: Page) -> None:
    found = plan(page, "say")
    assert found.locator(".rb-plan li code").all_inner_texts() == ["echo well"]
    assert "reads only" in found.locator(".rb-plan li").inner_text()
    expect(found.locator(".rb-stream-of-run")).to_have_count(0)
    press(found, "Run on this host")
    expect(found.locator(".rb-status")).to_have_text(re.compile(r"! Done in .* s: warning"))
    result = found.locator(".rb-result")
    expect(result.locator(".rb-said")).to_have_text("It said well")
    expect(result.locator(".rb-from")).to_contain_text("on this host")
    result.locator(".rb-evidence a").click()
    expect(result.locator(".rb-line")).to_be_visible()


def test_wrong_values_are_told_at_their_places_and_right_ones_run(page: Page) -> None:
    found = plan(page, "say")
    run = found.get_by_role("button", name="Run on this host", exact=True)
    found.get_by_label("limit").fill("ten")
    found.get_by_label("word").fill("LOUD")
    expect(found.locator(".rb-wrong").nth(1)).to_have_text("It must be a whole number such as 10.")
    expect(found.locator(".rb-wrong").nth(0)).to_have_text(re.compile("It must match"))
    expect(found.get_by_label("limit")).to_have_attribute("aria-invalid", "true")
    expect(run).to_be_disabled()
    found.get_by_label("limit").fill("10")
    found.get_by_label("word").fill("two words")
    expect(found.locator(".rb-plan code")).to_have_text("echo 'two words'")
    found.get_by_label("level").select_option("high")
    assert "lo" in found.locator("datalist option").evaluate_all("all => all.map((one) => one.value)")
    expect(run).to_be_enabled()
    found.get_by_label("limit").press("Enter")
    expect(found.locator(".rb-result .rb-said")).to_have_text("It said two words")


def test_a_run_can_be_made_again_closed_and_found_again(page: Page, served: Served) -> None:
    found = begin(page, "say")
    expect(found.locator(".rb-result .rb-said")).to_be_visible()
    press(found, "Close")
    expect(found.locator(".rb-stream-of-run")).to_have_count(0)
    found.locator(".rb-do .rb-quietly").first.click()
    expect(found.locator(".rb-result .rb-said")).to_be_visible()
    press(found, "Run again")
    expect(found.locator(".rb-plan li")).to_be_visible()


def test_a_result_is_saved_as_json_and_as_markdown(page: Page, tmp_path: Path) -> None:
    found = begin(page, "say")
    for name, file in (("JSON", "say.json"), ("Markdown", "say.md")):
        with page.expect_download() as download:
            press(found, name)
        assert download.value.suggested_filename == file
        download.value.save_as(tmp_path / file)
    assert json.loads((tmp_path / "say.json").read_text())["findings"][0]["summary"] == "It said well"
    assert "It said well" in (tmp_path / "say.md").read_text()


def test_cancelled_in_the_middle_the_tree_is_gone_in_two_seconds(page: Page, served: Served) -> None:
    found = begin(page, "slow")
    expect(found.locator(".rb-output")).to_have_text("begun\n")
    until(lambda: len(sleeping(served.process.pid)) == 2)
    press(found, "Cancel")
    until(lambda: not sleeping(served.process.pid), 2.0)
    expect(found.locator(".rb-status")).to_have_text(re.compile("unknown"))
    expect(found.locator(".rb-result")).to_contain_text("interrupted")


def test_a_prompt_is_answered_in_the_page(page: Page) -> None:
    found = begin(page, "ask")
    expect(found.locator(".rb-output")).to_contain_text("Name: ")
    answer = found.get_by_label("Answer a")
    expect(answer).to_have_attribute("type", "text")
    answer.fill("Ada")
    answer.press("Enter")
    expect(found.locator(".rb-output")).to_contain_text("Code: ")
    expect(answer).to_have_attribute("type", "password")
    answer.fill("hunter2")
    press(found, "Send")
    expect(found.locator(".rb-result .rb-output").first).to_contain_text("got Ada 7")
    assert "hunter2" not in page.content()
    expect(answer).to_have_count(0)


@pytest.mark.parametrize("word", ["Do it", "Do not"])
def test_a_change_is_asked_for(page: Page, base: Base, word: str) -> None:
    touched = base.path / "touched"
    touched.unlink(missing_ok=True)
    found = begin(page, "touch")
    asked = found.locator(".rb-approve")
    expect(asked).to_contain_text("this changes this host")
    expect(asked).to_contain_text(f"touch {touched}")
    expect(asked).to_contain_text("It can be undone by: rm x")
    expect(asked).to_be_focused()
    assert not touched.exists()
    press(asked, word)
    expect(found.locator(".rb-status")).to_have_text(re.compile("Done|unknown"))
    assert touched.exists() == (word == "Do it")


def test_a_lab_is_run_from_the_page(page: Page) -> None:
    found = plan(page, "inside")
    found.get_by_label("Where").select_option("lab-0")
    press(found, "Run in this lab")
    expect(found.locator(".rb-notes")).to_contain_text("lab lab-0: up in")
    expect(found.locator(".rb-result .rb-output")).to_have_text("built by the lab\n", timeout=30_000)
    expect(found.locator(".rb-result .rb-from")).to_contain_text("lab-0")


def test_what_a_command_printed_is_text(page: Page) -> None:
    page.on("dialog", lambda dialog: pytest.fail(dialog.message))
    page.evaluate("""() => {
        window.seen = new Set();
        new MutationObserver((changes) => {
            for (const change of changes) for (const node of change.addedNodes) {
                if (node.nodeType === 1 && change.target.closest("pre.rb-output")) window.seen.add(node.outerHTML);
            }
        }).observe(document.body, {childList: true, subtree: true});
    }""")
    found = begin(page, "hostile")
    expect(found.locator(".rb-result .rb-verdict")).to_be_visible()
    seen = page.evaluate("[...window.seen]")
    assert seen == ['<span class="rb-fg-1 rb-bold">&lt;img src=x onerror=alert(1)&gt;</span>']
    assert found.locator("img, script, b, a[href^=javascript]").count() == 0


def test_of_much_output_the_page_holds_the_end(page: Page) -> None:
    found = begin(page, "much")
    expect(found.locator(".rb-result .rb-output")).to_contain_text("300000", timeout=60_000)
    expect(found.locator(".rb-result .rb-gap")).to_be_visible(visible=False)


# staying in touch


RECORD = """
window.lines = [];
const Real = window.WebSocket;
window.WebSocket = class extends Real {
  constructor(...words) { super(...words); window.lines.push(this); }
};
"""


def test_after_a_hiccup_it_goes_on_where_it_was(context: BrowserContext, served: Served) -> None:
    page = context.new_page()
    page.add_init_script(RECORD)
    page.goto(served.url)
    found = begin(page, "ask")
    expect(found.locator(".rb-output")).to_have_text("Name: ")
    for _ in range(3):
        page.evaluate("for (const line of window.lines) if (line.url.includes('/runs/')) line.close(3000)")
        page.wait_for_timeout(100)
    urls = until(
        lambda: [
            url
            for url in page.evaluate("window.lines.map((line) => line.url)")
            if "after=" in url and "after=0" not in url
        ]
    )
    assert urls
    expect(found.locator(".rb-output")).to_have_text("Name: ")
    until(lambda: page.evaluate("window.lines.at(-1).readyState") == 1)
    answer = found.get_by_label("Answer a")
    answer.fill("Ada")
    answer.press("Enter")
    expect(found.locator(".rb-output")).to_have_text("Name: Ada\nCode: ")
    press(found, "Cancel")
    expect(found.locator(".rb-result .rb-verdict")).to_be_visible()


def test_two_tabs_see_one_run_and_share_the_key(page: Page, context: BrowserContext, served: Served) -> None:
    other = context.new_page()
    # Without the key: the first tab's worker has it.
    other.goto(served.home)
    found = begin(page, "slow")
    seen = card(other, "slow")
    expect(seen.locator(".rb-output")).to_have_text("begun\n")
    press(seen, "Cancel")
    for each in (found, seen):
        expect(each.locator(".rb-result .rb-verdict")).to_be_visible()


def test_a_link_to_a_run_shows_it(page: Page, context: BrowserContext, served: Served) -> None:
    found = begin(page, "say")
    link = found.get_by_role("link", name="Link to this run")
    address = served.home + str(link.get_attribute("href"))
    link.click()
    assert page.url == address
    other = context.new_page()
    other.goto(address)
    expect(card(other, "say").locator(".rb-result .rb-said")).to_have_text("It said well")


def test_a_reload_keeps_the_key(page: Page) -> None:
    page.reload()
    expect(card(page, "say").get_by_role("button", name="Run on this host…")).to_be_visible()


def test_it_works_the_same_after_instant_navigation(page: Page, served: Served) -> None:
    # The theme takes over links when it has the sitemap.
    page.wait_for_timeout(1000)
    page.evaluate("window.stays = true")
    page.locator("a.md-nav__link", has_text="Other").first.click()
    page.wait_for_url(re.compile("other"))
    page.locator("a.md-nav__link", has_text="Note").first.click()
    page.wait_for_url(served.home)
    assert page.evaluate("window.stays")
    found = begin(page, "say")
    expect(found.locator(".rb-result .rb-said")).to_have_text("It said well")
    assert found.locator(".rb-live").count() == 1


def test_a_changed_note_is_shown_and_the_run_in_it_stays(page: Page, base: Base, served: Served) -> None:
    found = begin(page, "ask")
    expect(found.locator(".rb-output")).to_have_text("Name: ")
    note = base.path / "docs/index.md"
    before = note.read_text()
    try:
        note.write_text(before.replace("# Note", "# Note\n\nJust written."))
        expect(page.get_by_text("Just written.")).to_be_visible(timeout=20_000)
        answer = found.get_by_label("Answer a")
        answer.fill("Ada")
        answer.press("Enter")
        expect(found.locator(".rb-output")).to_contain_text("Code: ")
        note.write_text(before + "\n```runbook\nname: nobody\n```\n")
        expect(page.locator(".rb-notice")).to_contain_text("could not be built", timeout=20_000)
        note.write_text(before)
        expect(page.locator(".rb-notice")).to_have_count(0, timeout=20_000)
    finally:
        note.write_text(before)
        end(page)


def test_a_server_that_was_started_again_is_told_apart(base: Base, context: BrowserContext) -> None:
    page = context.new_page()
    with serving(base) as first:
        page.goto(first.url)
        begin(page, "slow")
        expect(card(page, "slow").locator(".rb-output")).to_have_text("begun\n")
        first.stop(signal.SIGKILL)
        expect(card(page, "slow").locator(".rb-stream-of-run")).to_contain_text("The server does not answer")
        expect(card(page, "say")).to_contain_text("The server does not answer.")
        with serving(base, "--port", str(first.port)) as second:
            expect(card(page, "slow").locator(".rb-stream-of-run")).to_contain_text("was started again")
            expect(card(page, "say").locator(".rb-do")).to_contain_text("Open the address that")
            page.goto("about:blank")
            page.goto(second.url)
            found = begin(page, "say")
            expect(found.locator(".rb-result .rb-said")).to_have_text("It said well")


def test_without_the_key_a_page_says_where_it_is(browser: Browser, served: Served) -> None:
    context = browser.new_context()
    page = context.new_page()
    page.goto(served.home)
    expect(card(page, "say").locator(".rb-do")).to_contain_text("Open the address that")
    assert card(page, "say").get_by_role("button", name="Run on this host…").count() == 0
    context.close()


def test_the_built_site_knows_nothing_of_it(base: Base, context: BrowserContext) -> None:
    """No script that would ask a server, and no button: a published page never probes its visitor's machine."""
    assert base.call("build").returncode == 0
    names = {path.name for path in (base.path / "site").rglob("*")}
    assert not {"runbook-run.js", "runbook-key.js"} & names
    page = (base.path / "site/index.html").read_text()
    assert "_runbook" not in page
    assert "runbook-run" not in page
    assert 'data-rb-name="say"' in page


# what it looks like


@pytest.mark.parametrize(("scheme", "width"), [("default", 1280), ("slate", 320)])
def test_everybody_can_read_and_use_it(page: Page, scheme: str, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    page.evaluate("(scheme) => document.body.setAttribute('data-md-color-scheme', scheme)", scheme)
    found = plan(page, "say")
    found.get_by_label("limit").fill("x")
    expect(found.locator(".rb-wrong").nth(1)).not_to_be_empty()
    asking = begin(page, "ask")
    expect(asking.get_by_label("Answer a")).to_be_visible()
    change = begin(page, "touch")
    expect(change.locator(".rb-approve")).to_be_visible()
    hostile = begin(page, "hostile")
    expect(hostile.locator(".rb-result .rb-verdict")).to_be_visible()
    results = Axe().run(
        page, context=".rb", options={"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]}
    )
    assert [(one["id"], one["nodes"][0]["html"]) for one in results.response["violations"]] == []
    assert page.evaluate("document.scrollingElement.scrollWidth") <= width
    end(page)
    expect(asking.locator(".rb-result .rb-verdict")).to_be_visible()
