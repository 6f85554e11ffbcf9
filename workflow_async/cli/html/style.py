"""The style sheet of a batch's report."""

TONES = ("ok", "bad", "lost", "warn", "run", "no", "off", "todo")
"""The names of the colours for outcomes."""

STYLE = """
:root{color-scheme:light dark;--bg:#fff;--ink:#1c2128;--dim:#5c6670;--line:#d9dee4;--soft:#f4f6f8;
--ok:#1f9d6c;--bad:#d03b2f;--lost:#a33fc0;--warn:#d48806;--run:#2d76d2;--no:#8a5a3c;--off:#8b949e;--todo:#b6bfc9}
@media(prefers-color-scheme:dark){:root{--bg:#0f1318;--ink:#e4e8ed;--dim:#98a2ad;--line:#2c343d;--soft:#181e25;
--ok:#38b583;--bad:#f06a5e;--lost:#c77be0;--warn:#e3a53a;--run:#5b9df0;--no:#bd8a68;--off:#79838e;--todo:#4a545f}}
*{box-sizing:border-box}
body{margin:0 auto;padding:1.5rem clamp(.8rem,3vw,2.5rem);max-width:82rem;background:var(--bg);color:var(--ink);
font:15px/1.45 system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif;font-variant-numeric:tabular-nums}
h1{font-size:1.45rem;margin:0 0 .2rem;overflow-wrap:anywhere}
h2{font-size:1.1rem;margin:2.2rem 0 .5rem}
h3{font-size:.85rem;font-weight:600;margin:.9rem 0 .2rem;position:sticky;left:0;width:max-content;max-width:90vw}
p{margin:.25rem 0;max-width:75ch}
.dim,h3 small{color:var(--dim);font-weight:400}
.bar{display:flex;height:1.5rem;gap:2px;margin:1rem 0 .6rem;border-radius:4px;overflow:hidden}
.bar i{min-width:3px;background:var(--c)}
.legend{display:flex;flex-wrap:wrap;gap:.3rem 1.4rem;list-style:none;margin:0;padding:0}
.legend b{font-size:1.15rem;margin-right:.25rem}
.key::before{content:"";display:inline-block;width:.7em;height:.7em;border-radius:2px;background:var(--c);margin-right:.45em}
.ok{--c:var(--ok)}.bad{--c:var(--bad)}.lost{--c:var(--lost)}.warn{--c:var(--warn)}.run{--c:var(--run)}
.no{--c:var(--no)}.off{--c:var(--off)}.todo{--c:var(--todo)}
.scroll{overflow-x:auto;-webkit-overflow-scrolling:touch}
svg{display:block;width:100%}
svg rect,svg path{fill:var(--c)}
svg .lane{--c:var(--soft)}svg .late{--c:var(--ink);opacity:.16}svg .outage{--c:var(--bad);opacity:.28}
svg .tick{fill:none;stroke:var(--line);stroke-width:1;vector-effect:non-scaling-stroke}
svg .whole{--c:var(--dim)}svg .median{--c:var(--ink)}
svg g rect:hover{filter:brightness(1.25)}
.gantt{border:1px solid var(--line)}
.chart{border-bottom:1px solid var(--line)}
.axis{position:relative;height:1.3rem;font-size:.75rem;color:var(--dim);overflow:hidden}
.axis span{position:absolute;padding-left:3px;border-left:1px solid var(--line);white-space:nowrap}
table{border-collapse:collapse;width:100%}
th{text-align:left;font-weight:600;font-size:.8rem;color:var(--dim);position:sticky;top:0;background:var(--bg)}
th,td{padding:.25rem .9rem .25rem 0;border-bottom:1px solid var(--line);vertical-align:top}
th,td{white-space:nowrap}.text{white-space:normal;overflow-wrap:anywhere;}
.all .text{min-width:16rem}
.n{text-align:right}
.all td{font-size:.85rem}.all td:first-child{white-space:nowrap}
.spread{width:45%;min-width:9rem;vertical-align:middle}
.stack{margin:.9rem 0}.stack p{overflow-wrap:anywhere}
.stack>div{display:flex;height:1.1rem;min-width:1rem;border-radius:3px;overflow:hidden}
.stack i{background:var(--c);box-shadow:inset -1px 0 var(--bg)}
.stack ul{display:flex;flex-wrap:wrap;gap:.1rem 1.1rem;list-style:none;margin:.25rem 0 0;padding:0;font-size:.85rem}
.part-1{--c:#3b76af}.part-2{--c:#d9730d}.part-3{--c:#4a8f3c}.part-4{--c:#9a5fa5}.part-5{--c:#2b8f8f}.part-6{--c:#8f6b4f}
.part-7{--c:#c4588f}.part-8{--c:#8f8a1f}.part-other{--c:var(--off)}.part-between{--c:var(--line)}.part-whole{--c:var(--run)}
details{border:1px solid var(--line);border-left:4px solid var(--c);
border-radius:4px;margin:.5rem 0;padding:.5rem .8rem}
summary{cursor:pointer;overflow-wrap:anywhere}
pre{background:var(--soft);padding:.6rem .8rem;overflow-x:auto;border-radius:4px;margin:.5rem 0;font-size:.8rem}
@media(max-width:40rem){body{font-size:14px}th,td{padding-right:.6rem}.axis span:nth-child(even){font-size:0}}
@media print{.scroll{overflow:visible}th{position:static}}
"""
