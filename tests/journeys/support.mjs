// What the journeys share: a demo on free ports, a headless Chromium, and the steps that people take.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';
import { freePortBase, startDemo } from '../../examples/demo/demo.mjs';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const BINARY = process.env.COUNTERSIGN_BIN ?? path.join(ROOT, 'target/debug/countersign');
const PATIENCE = 15_000;

export { freePortBase };

export const PHONE = { width: 390, height: 844 };
export const DESKTOP = { width: 1280, height: 900 };

const SCREENSHOTS = process.env.SCREENSHOTS ?? path.join(tmpdir(), 'countersign-journeys');

// What a failing journey shows: the pages that its people had open, and what the demo wrote.
let openPages = [];
let demos = [];

/** A test that shows, when it fails, what people saw and what the broker logged. */
export function journey(name, steps) {
  test(name, async (context) => {
    openPages = [];
    try {
      await steps(context);
    } catch (error) {
      await explain(name, error);
      throw error;
    }
  });
}

async function explain(name, error) {
  const report = [];
  for (const page of openPages) {
    const text = await page.locator('body').innerText({ timeout: 2000 }).catch(() => '(no page)');
    report.push(`--- ${page.url()}`, text, ...page.faults);
    await screenshot(page, `failed-${name.replace(/\W+/g, '-')}`).catch(() => {});
  }
  for (const demo of demos) {
    for (const child of demo.children) report.push(`--- the log of ${child.name}`, child.lastLines());
  }
  error.message += `\n${report.join('\n')}`;
  error.stack = `${error.message}\n${error.stack}`;
}

/** Starts a demo of its own for a test file, and stops it and removes its data when `context` ends. */
export async function demoFor(context, { dataDir = mkdtempSync(path.join(tmpdir(), 'countersign-demo-')), ...options } = {}) {
  const demo = await startDemo({
    binary: BINARY, dataDir, portBase: await freePortBase(), ...options,
  });
  demos.push(demo);
  context.after(async () => {
    demos = demos.filter((other) => other !== demo);
    await demo.stop();
    rmSync(dataDir, { recursive: true });
  });
  return { ...demo, dataDir };
}

/** A browser with nothing in it; every `newContext` of it is a person's own. */
export async function browserFor(context, extraArguments = []) {
  const browser = await chromium.launch({
    executablePath: '/usr/bin/chromium',
    args: [
      '--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
      '--disable-background-networking', '--disable-component-update', '--disable-sync', ...extraArguments,
    ],
  });
  context.after(() => browser.close());
  return browser;
}

/** A person at a device: a page with cookies of its own. Faults of the pages fail the journey. */
export async function personAt(browser, { viewport = DESKTOP, ...options } = {}) {
  const context = await browser.newContext({ viewport, ...options });
  context.setDefaultTimeout(PATIENCE);
  const page = await context.newPage();
  page.faults = [];
  openPages.push(page);
  page.on('pageerror', (error) => page.faults.push(String(error)));
  page.on('console', (message) => {
    if (/Content.Security.Policy|violates/i.test(message.text())) page.faults.push(message.text());
  });
  return page;
}

/** Nothing was blocked by a policy, and no script failed. */
export function noFaults(page) {
  assert.deepEqual(page.faults, []);
}

export async function screenshot(page, name) {
  mkdirSync(SCREENSHOTS, { recursive: true });
  await page.screenshot({ path: path.join(SCREENSHOTS, `${name}.png`), fullPage: true });
}

/** Nothing may be wider than the screen. */
export async function fitsTheScreen(page) {
  const [content, screen] = await page.evaluate(() => [
    document.documentElement.scrollWidth, document.documentElement.clientWidth,
  ]);
  assert.ok(content <= screen, `the page is ${content} px wide on a screen of ${screen} px`);
}

/** Presses the button for a provider on the chooser. */
export async function chooseProvider(page, provider) {
  await page.locator(`button[name="provider"][value="${provider}"]`).click();
}

/** Picks a person at a stand-in. */
export async function pickPerson(page, user) {
  await page.locator(`button[name="user"][value="${user}"]`).click();
}

export async function cancelAtProvider(page) {
  await page.locator('button[name="action"][value="cancel"]').click();
}

/** Tells what a provider did not: the address, and the code that Mailbox gets. */
export async function proveAddress(page, demo, address) {
  await page.locator('#email').fill(address);
  await page.locator('button[value="details"]').click();
  await page.locator('#code').fill(await codeFor(page, demo, address));
  await page.locator('button[value="code"]').click();
}

/** The code in the last letter to an address, as its owner reads it: in a window of its own. */
export async function codeFor(page, demo, address) {
  const inbox = await page.context().newPage();
  await inbox.goto(demo.addresses.mailbox);
  const letter = inbox.locator('.letter', { hasText: address }).first();
  const code = /\d{4} \d{4}/.exec(await letter.locator('pre').innerText())?.[0];
  await inbox.close();
  assert.ok(code, `a code for ${address}`);
  return code;
}

/** What Notes says about who is signed in. */
export async function whoNotesSees(page) {
  await page.locator('#sub').waitFor();
  const list = (id) => page.locator(`#${id} li`).allTextContents();
  return {
    sub: await page.locator('#sub').textContent(),
    name: await page.locator('#name').textContent(),
    groups: await list('groups'),
    roles: await list('roles'),
    permissions: await list('permissions'),
  };
}

/** Runs a command of the broker's command line on a demo's configuration, and answers what it printed. */
export function commandLine(demo, ...parts) {
  const config = path.join(demo.dataDir, 'countersign.toml');
  return execFileSync(BINARY, [...parts, '--config', config], { encoding: 'utf8' });
}
