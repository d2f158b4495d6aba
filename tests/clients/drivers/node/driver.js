// What the node drivers have in common: their arguments, and what they print.
//
//     node DRIVER BASE... -- NAME CASE [NAME CASE]...
//
// asks for each case below each base URL, and prints one JSON line for each.

/** Let `ask(url, got, done)` push to `got` what a client is given, and call `done` when that is all. */
export async function drive(ask) {
  const all = process.argv.slice(2);
  const middle = all.indexOf("--");
  const bases = all.slice(0, middle);
  const cases = all.slice(middle + 1);
  for (const [base, url] of bases.entries()) {
    for (let at = 0; at < cases.length; at += 2) {
      const line = await new Promise((done) => {
        const got = [];
        ask(url + cases[at + 1], got, () => done(JSON.stringify({ base, case: cases[at], got })));
      });
      console.log(line);
    }
  }
  process.exit();
}
