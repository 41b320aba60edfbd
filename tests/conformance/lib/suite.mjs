// The suite's REST interface: plans, modules, logs.

const PATIENCE_SECONDS = 150;
const POLL_MILLISECONDS = 300;

export class Suite {
  constructor(url) {
    this.url = url.replace(/\/$/, '');
  }

  async #call(method, path, body) {
    const response = await fetch(`${this.url}/api/${path}`, {
      method, body, headers: { 'content-type': 'application/json' },
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text.slice(0, 300)}`);
    return text ? JSON.parse(text) : undefined;
  }

  version() {
    return this.#call('GET', 'server').catch(() => undefined);
  }

  createPlan(name, variant, config) {
    const query = new URLSearchParams({ planName: name, variant: JSON.stringify(variant) });
    return this.#call('POST', `plan?${query}`, JSON.stringify(config));
  }

  createModule(plan, { testModule, variant }) {
    const query = new URLSearchParams({ test: testModule, plan, variant: JSON.stringify(variant ?? {}) });
    return this.#call('POST', `runner?${query}`);
  }

  start(id) {
    return this.#call('POST', `runner/${id}`);
  }

  info(id) {
    return this.#call('GET', `info/${id}`);
  }

  /** A running module: what it exposes, such as its endpoints. */
  runner(id) {
    return this.#call('GET', `runner/${id}`);
  }

  log(id) {
    return this.#call('GET', `log/${id}`);
  }

  /** Waits until the module is in one of the states; returns the last information about it. */
  async until(id, states, seconds = PATIENCE_SECONDS) {
    const end = Date.now() + seconds * 1000;
    for (;;) {
      const info = await this.info(id);
      if (states.includes(info.status) || Date.now() > end) return info;
      await new Promise((resolve) => setTimeout(resolve, POLL_MILLISECONDS));
    }
  }
}
