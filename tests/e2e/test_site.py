"""The pages in a real browser: what a reader clicks, types, prints, and sees on a phone or without a script."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect

from tests.e2e.browser import Watch
from tests.e2e.conftest import ROOT

NOTE = "storage/lvm/"
PAGES = ("", NOTE, "runbooks/lvm-inspect/", "symptoms/", "labs/", "glossary/", "tags/")
CARD = "rb-lvm-inspect"
FULL = f"#{CARD}--thin-pool-full"
LIT = re.compile(r"\brb-lit\b")


def visit(page: Page, address: str) -> Page:
    """Open an address; scripts have run when this returns."""
    page.goto(address)
    return page


def visit_and_settle(page: Page, address: str) -> Page:
    """Open an address, and wait until the theme knows which links it takes over: it asks for the sitemap."""
    visit(page, address)
    page.wait_for_load_state("networkidle")
    return page


@pytest.fixture
def note(page: Page, home: str) -> Page:
    return visit(page, home + NOTE)


def choose(page: Page, case: str) -> Locator:
    """The panel of a recording, after a click on its tab."""
    page.locator(f'label[for="{CARD}--{case}--Tab"]').click()
    return page.locator(f"#{CARD}--{case}")


def test_a_line_of_evidence_opens_the_output_where_it_stands(note: Page) -> None:
    panel = choose(note, "thin-pool-full")
    line = panel.locator(".rb-line").first
    expect(line).not_to_be_visible()
    panel.locator(".rb-evidence a").first.click()
    expect(line).to_be_in_viewport()
    expect(line).to_have_class(LIT)
    expect(line).to_be_focused()


def test_a_lit_line_leads_back_to_its_finding(note: Page) -> None:
    panel = choose(note, "thin-pool-full")
    panel.locator(".rb-evidence a").first.click()
    panel.locator(".rb-line").first.click()
    finding = note.locator(f"{FULL}--thin-pool-data")
    expect(finding).to_be_in_viewport()
    expect(finding).to_have_class(LIT)


def test_every_piece_of_evidence_leads_to_a_line_and_back(note: Page) -> None:
    broken = note.evaluate(
        """() => [...document.querySelectorAll('.rb-evidence a')].filter((link) => {
            const line = document.querySelector(CSS.escape ? `[id="${link.hash.slice(1)}"]` : link.hash);
            return !line || !line.classList.contains('rb-line') || !document.getElementById(line.hash.slice(1));
        }).map((link) => link.hash)"""
    )
    assert broken == []
    assert note.locator(".rb-evidence a").count() >= 4


def test_a_link_to_a_finding_opens_its_tab(page: Page, home: str) -> None:
    visit(page, f"{home}{NOTE}{FULL}--thin-pool-data")
    expect(page.locator(f"{FULL}--thin-pool-data")).to_be_in_viewport()
    expect(page.locator(f"{FULL}--Tab")).to_be_checked()


def test_the_table_of_findings_leads_to_a_recording_that_shows_each(page: Page, home: str) -> None:
    visit(page, f"{home}runbooks/lvm-inspect/")
    page.get_by_role("link", name="Snapshot overflow").first.click()
    expect(page.locator(f"#{CARD}--snapshot-overflow--snapshot-full")).to_be_in_viewport()


def test_a_tab_shows_its_panel_and_no_other(note: Page) -> None:
    for case in ("missing-disk", "laptop"):
        expect(choose(note, case)).to_be_visible()
        expect(note.locator(".rb-panel:visible")).to_have_count(1)


def test_every_tab_says_its_verdict_in_words(note: Page) -> None:
    labels = note.locator(".rb-tab + label").all_text_contents()
    assert len(labels) == 4
    assert all(re.search(r"\((ok|unknown|warning|critical)\)", label) for label in labels)


def test_the_arrow_keys_go_from_tab_to_tab(note: Page) -> None:
    note.locator(f"#{CARD}--laptop--Tab").focus()
    note.keyboard.press("ArrowRight")
    expect(note.locator(FULL)).to_be_visible()
    note.keyboard.press("ArrowLeft")
    expect(note.locator(f"#{CARD}--laptop")).to_be_visible()


def test_steps_are_folded_until_they_are_wanted(note: Page) -> None:
    panel = choose(note, "laptop")
    output = panel.locator(".rb-step .rb-output").first
    expect(output).not_to_be_visible()
    panel.locator(".rb-step summary").first.click()
    expect(output).to_be_visible()
    panel.locator(".rb-step summary").first.press("Enter")
    expect(output).not_to_be_visible()


def copied(page: Page, block: Locator) -> str:
    """What is in the clipboard after a click on the block's copy button."""
    block.hover()
    block.locator("button").first.click()
    expect(page.get_by_text("Copied to clipboard")).to_be_visible()
    return str(page.evaluate("navigator.clipboard.readText()"))


def test_a_command_can_be_copied(context: BrowserContext, note: Page) -> None:
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    commands = choose(note, "thin-pool-full").locator(".rb-finding .rb-command")
    assert copied(note, commands.first) == "lvextend --size +36m data-vg/pool   # changes this host"
    assert copied(note, commands.nth(1)) == "lvs -o lv_name,origin,lv_size,data_percent -S pool_lv=pool data-vg"


def test_output_is_copied_without_our_links(context: BrowserContext, page: Page, home: str) -> None:
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    # A line of this recording bears out two findings, and names the second.
    visit(page, f"{home}runbooks/lvm-inspect/")
    panel = choose(page, "raid-degraded")
    panel.locator("summary", has_text="Logical volumes").click()
    output = panel.locator(".rb-output:visible", has=page.locator(".rb-back")).first
    text = copied(page, output)
    assert text.endswith("}")
    assert output.locator(".rb-back").first.inner_text() not in text


def search(page: Page, words: str) -> Locator:
    page.locator("[data-md-component=search-query]").click()
    page.locator("[data-md-component=search-query]").press_sequentially(words)
    expect(page.locator(".md-search-result__meta")).to_have_text(re.compile("document|No matching"))
    return page.locator(".md-search-result__item")


def test_a_search_finds_a_finding_by_its_code(note: Page) -> None:
    found = search(note, "snapshot-full")
    expect(found.filter(has=note.locator("a[href*='storage/lvm']")).first).to_be_visible()


def test_a_search_finds_a_fact(note: Page) -> None:
    found = search(note, "sda3_crypt")
    expect(found.filter(has=note.locator("a[href*='storage/lvm']")).first).to_be_visible()


def test_a_search_does_not_look_into_raw_output(note: Page) -> None:
    # A line of `lvs` in every recording, and in no sentence.
    assert "raid_mismatch_count" in note.content()
    expect(search(note, "raid_mismatch_count")).to_have_count(0)


def test_everything_still_works_after_three_pages_without_a_reload(page: Page, home: str) -> None:
    visit_and_settle(page, home)
    page.evaluate("window.stillHere = true")
    page.locator(".md-tabs").get_by_role("link", name="Storage").click()
    expect(page).to_have_url(f"{home}storage/")
    page.locator("article a[href*='lvm']").first.click()
    expect(page).to_have_url(f"{home}{NOTE}")
    panel = choose(page, "thin-pool-full")
    panel.locator(".rb-evidence a").first.click()
    expect(panel.locator(".rb-line").first).to_have_class(LIT)
    assert page.evaluate("window.stillHere") is True


def test_one_click_is_one_step_back(page: Page, home: str) -> None:
    visit_and_settle(page, f"{home}storage/")
    page.locator("article a[href*='lvm']").first.click()
    expect(page).to_have_url(f"{home}{NOTE}")
    before = page.evaluate("history.length")
    choose(page, "thin-pool-full").locator(".rb-evidence a").first.click()
    assert page.evaluate("history.length") == before + 1
    page.go_back()
    expect(page).to_have_url(f"{home}{NOTE}")


def test_the_keyboard_alone_reaches_tabs_evidence_steps_and_commands(note: Page) -> None:
    note.locator(f"#{CARD}--laptop--Tab").focus()
    note.keyboard.press("ArrowRight")
    reached = set()
    for _ in range(40):
        note.keyboard.press("Tab")
        for name, place in {"evidence": ".rb-evidence a", "step": "summary", "command": ".rb-command"}.items():
            if note.evaluate("(place) => document.activeElement.matches(place)", place):
                reached.add(name)
    assert reached >= {"evidence", "step", "command"}


def test_enter_on_evidence_goes_to_the_line(note: Page) -> None:
    panel = choose(note, "thin-pool-full")
    panel.locator(".rb-evidence a").first.press("Enter")
    expect(panel.locator(".rb-line").first).to_be_focused()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("address", PAGES)
def test_nothing_keeps_anybody_out(browser: Browser, home: str, address: str, scheme: Any) -> None:
    """axe-core, WCAG 2.2 A and AA: nothing serious, with every panel and every step open."""
    page = visit(browser.new_page(color_scheme=scheme), home + address)
    page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true })")
    # All panels at once; as a sheet made by script, because the policy of the page allows no style in it.
    page.evaluate(
        "const sheet = new CSSStyleSheet(); sheet.replaceSync('.rb-panel { display: block !important }');"
        "document.adoptedStyleSheets = [sheet]"
    )
    found = Axe().run(page, options={"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]})
    faults = [
        f"{one['id']}: {node['target']} {node['failureSummary']}"
        for one in found.response["violations"]
        if one["impact"] in ("serious", "critical")
        for node in one["nodes"]
    ]
    page.close()
    assert faults == []


@pytest.mark.parametrize("address", PAGES)
def test_nothing_is_wider_than_a_phone(browser: Browser, home: str, address: str) -> None:
    page = visit(browser.new_page(viewport={"width": 320, "height": 700}), home + address)
    for number in range(page.locator(".rb-tab").count()):
        page.locator(".rb-tab").nth(number).evaluate("(tab) => { tab.checked = true }")
        page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true })")
        assert page.evaluate("document.documentElement.scrollWidth") <= 320
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
    page.close()


def test_a_printed_page_shows_everything(note: Page) -> None:
    note.emulate_media(media="print")
    for panel in note.locator(".rb-panel").all():
        expect(panel).to_be_visible()
    for output in note.locator(".rb-output code").all():
        assert output.evaluate("(code) => code.checkVisibility({contentVisibilityAuto: true}) && code.offsetHeight > 0")
    expect(note.locator(".md-clipboard:visible, .md-code__button:visible")).to_have_count(0)


def test_without_a_script_all_is_there(browser: Browser, home: str) -> None:
    page = browser.new_context(java_script_enabled=False).new_page()
    page.goto(home + NOTE)
    expect(choose(page, "missing-disk")).to_be_visible()
    expect(page.locator(".rb-panel:visible")).to_have_count(1)
    page.locator(f"#{CARD}--missing-disk .rb-step summary").first.click()
    expect(page.locator(f"#{CARD}--missing-disk .rb-output").first).to_be_visible()
    page.context.close()


@pytest.mark.parametrize("address", PAGES)
def test_every_id_is_one_and_every_link_in_a_card_arrives(home: str, site: Path, address: str) -> None:
    text = (site / address / "index.html").read_text()
    ids = re.findall(r'\bid="([^"]+)"', text)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'href="#(rb-[^"]+)"', text)) <= set(ids)


def test_the_page_needs_no_network_once_it_is_there(context: BrowserContext, note: Page) -> None:
    note.wait_for_load_state("networkidle")
    context.set_offline(True)
    panel = choose(note, "thin-pool-full")
    panel.locator(".rb-evidence a").first.click()
    expect(panel.locator(".rb-line").first).to_be_in_viewport()


def test_a_recording_never_claims_to_be_the_readers_host(note: Page) -> None:
    for panel in note.locator(".rb-from").all_text_contents():
        assert panel.startswith("Recorded in lab ")
        assert "2026" in panel


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 320])
def test_screenshots(browser: Browser, home: str, scheme: Any, width: int) -> None:
    """Kept for whoever looks at the result of CI; that the pages log no fault in any of these is asserted."""
    folder = ROOT / ".artefacts" / "screenshots"
    page = browser.new_page(color_scheme=scheme, viewport={"width": width, "height": 900})
    watch = Watch(page, home)
    for address in (*PAGES, f"{NOTE}{FULL}"):
        visit(page, home + address)
        name = re.sub(r"[^a-z-]+", "_", address.rstrip("/") or "home")
        page.screenshot(path=folder / f"{name}-{scheme}-{width}.png", full_page=True)
    page.close()
    assert watch.faults == []
    assert len(list(folder.glob(f"*-{scheme}-{width}.png"))) >= len(PAGES)
