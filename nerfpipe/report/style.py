"""How the page looks: one column on a phone, several where there is room, in the reader's light or dark."""

STYLE = """<style>
:root { color-scheme: light dark; --faint: #80808033; --quiet: #80808022; }
body { margin: 0 auto; max-width: 1200px; padding: 1rem; font: 15px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.5rem; margin: .5rem 0 1rem; }
h2 { font-size: 1.15rem; margin: 2.2rem 0 .6rem; }
h3 { font-size: 1rem; margin: 1.2rem 0 .4rem; font-weight: 600; }
p { margin: .4rem 0; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .3rem .7rem; text-align: right; white-space: nowrap; border-bottom: 1px solid var(--faint); }
th { font-weight: 600; }
th:first-child { text-align: left; position: sticky; left: 0; background: Canvas; }
.head th { white-space: normal; vertical-align: bottom; }
details th:first-child { font-weight: normal; }
.differs { background: var(--quiet); }
.legend { display: flex; flex-wrap: wrap; gap: .2rem 1.2rem; }
.swatch { width: 1.8em; height: .7em; vertical-align: baseline; }
.grid { display: grid; gap: 1rem; grid-template-columns: repeat(auto-fit, minmax(min(100%, 24rem), 1fr)); }
.turns { display: flex; flex-wrap: wrap; gap: 1rem; }
.charts { grid-template-columns: repeat(auto-fit, minmax(min(100%, 27rem), 1fr)); }
figure { margin: 0; min-width: 0; }
figcaption { font-size: .9rem; overflow-wrap: anywhere; }
.chart figcaption { font-weight: 600; }
svg { stroke-linejoin: round; }
.chart svg { width: 100%; max-width: 700px; height: auto; font-size: 10px; }
img { display: block; border-radius: 3px; background: #80808022; }
.sheet img { width: 100%; max-width: 900px; }
.turns img { width: min(44vw, 240px); }
.turns .pair { display: flex; gap: .3rem; }
summary { cursor: pointer; font-weight: 600; font-size: 1.15rem; margin: 2.2rem 0 .6rem; }
footer, .remark { opacity: .75; font-size: .9rem; }
footer { margin-top: 3rem; }
</style>"""
