"""The style sheet of report.html: light, dark and print from one set of variables."""

STYLE = """
:root {
  color-scheme: light dark;
  --page: #fbfbfa; --card: #ffffff; --ink: #22262b; --soft: #626a74; --grid: #dfe2e6;
  --train: #93a5ba; --held-out: #1f5fae; --baseline: #b8590f; --good: #23744a; --warn: #94610a;
}
@media (prefers-color-scheme: dark) { :root {
  --page: #14171b; --card: #1c2127; --ink: #e4e7eb; --soft: #9aa4b0; --grid: #343b44;
  --train: #6d8199; --held-out: #75aef5; --baseline: #e99a55; --good: #6fcf9b; --warn: #e6b45c;
} }
@media print { :root {
  --page: #fff; --card: #fff; --ink: #111; --soft: #555; --grid: #ccc;
  --train: #93a5ba; --held-out: #1f5fae; --baseline: #b8590f; --good: #23744a; --warn: #94610a;
} }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 1120px; padding: 40px 28px 64px; background: var(--page);
  color: var(--ink); font: 15px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
h1 { font-size: 28px; line-height: 1.2; margin: 0; letter-spacing: -.01em; }
h2 { font-size: 18px; margin: 44px 0 14px; }
h3 { font-size: 13px; font-weight: 600; margin: 0 0 6px; }
p { margin: 6px 0; max-width: 78ch; }
.soft { color: var(--soft); }
.state { display: inline-block; margin-left: 10px; padding: 2px 10px; border-radius: 99px;
  border: 1px solid; font-size: 13px; font-weight: 500; vertical-align: 5px; letter-spacing: 0; }
.finished { color: var(--good); } .unfinished { color: var(--warn); }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(210px, 1fr)); gap: 14px;
  margin: 26px 0 14px; }
.tile, figure, .panel { background: var(--card); border: 1px solid var(--grid);
  border-radius: 10px; padding: 16px 18px; margin: 0; }
.tile b { display: block; font-size: 32px; font-weight: 600; line-height: 1.25;
  font-variant-numeric: tabular-nums; }
.tile b small { font-size: 15px; font-weight: 400; color: var(--soft); }
.tile span { font-size: 13px; color: var(--soft); display: block; }
.curves { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(460px, 100%), 1fr));
  gap: 14px; }
figure svg, svg.plan { display: block; width: 100%; height: auto; }
figure { padding: 14px 14px 8px; break-inside: avoid; }
svg text { fill: var(--ink); }
svg.plan { font-size: 12px; }
svg.plan .on-bar { fill: var(--card); }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
td, th { text-align: left; padding: 4px 16px 4px 0; border-bottom: 1px solid var(--grid);
  vertical-align: top; overflow-wrap: break-word; }
tr:last-child > td { border-bottom: 0; }
td:first-child { color: var(--soft); white-space: nowrap; }
td.note { color: var(--soft); font-size: 13px; }
.halves { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(420px, 100%), 1fr));
  gap: 14px; align-items: start; }
.example { break-inside: avoid; }
.example .sentence { font-size: 16px; margin: 0 0 10px; }
mark { background: none; color: var(--baseline); font-weight: 600; }
.answers { display: grid; grid-template-columns: max-content 1fr max-content; gap: 3px 12px;
  align-items: center; font-size: 14px; font-variant-numeric: tabular-nums; }
.answers + .answers { margin-top: 12px; padding-top: 12px; border-top: 1px solid var(--grid); }
.bar { height: 9px; border-radius: 3px; background: var(--held-out); min-width: 1px; }
code, pre { font: 13px/1.6 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; }
pre { margin: 0; overflow-x: auto; white-space: pre-wrap; }
footer { margin-top: 48px; font-size: 13px; color: var(--soft); }
@media print {
  body { padding: 0; font-size: 9pt; max-width: none; }
  .tiles { grid-template-columns: repeat(4, 1fr); margin: 16px 0 8px; }
  .tile b { font-size: 20pt; }
  .curves, .halves { grid-template-columns: 1fr 1fr; gap: 8px; }
  .tile, figure, .panel { padding: 9px 12px; }
  h2 { margin: 22px 0 8px; break-after: avoid; }
  td { padding-top: 1px; padding-bottom: 1px; }
  .bar { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
  .tile, figure, .panel { break-inside: avoid; }
}
"""
