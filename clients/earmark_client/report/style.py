"""The style of the report: light and dark, on screens and on paper."""

STYLE = """
:root{color-scheme:light dark;--back:#fff;--text:#1c2430;--soft:#5b6675;--line:#dde2e8;--row:#f3f5f8;--notice:#fff6dd;
--edge:#e0b64a;--heat-to:#4269d0;--hatch:#aab2bd}
@media (prefers-color-scheme:dark){:root{--back:#12161c;--text:#e4e9f0;--soft:#98a4b3;--line:#2b333d;--row:#1a2028;
--notice:#2b2513;--edge:#8f7326;--heat-to:#6f93f5;--hatch:#55606d}}
*{box-sizing:border-box}
body{margin:0;background:var(--back);color:var(--text);font:15px/1.5 system-ui,sans-serif}
main{max-width:1040px;margin:0 auto;padding:32px 24px 48px}
h1{font-size:26px;line-height:1.2;margin:0}
h2{font-size:19px;margin:0 0 4px}h2 span{color:var(--soft);font-weight:500}
h3{font-size:14px;margin:12px 0 6px;font-weight:600}
p{margin:0 0 10px}.sub,.small,.key{color:var(--soft)}.sub{margin:4px 0 18px}.small,.key{font-size:13px;margin-top:6px}
.notice{background:var(--notice);border-left:4px solid var(--edge);padding:10px 14px;border-radius:4px;
margin-bottom:26px}
section{border-top:1px solid var(--line);padding:20px 0 14px}
.timeline{display:block;width:100%;height:auto;margin:6px 0}
.timeline text{font-size:13px;fill:var(--text)}.timeline .axis{font-size:11px;fill:var(--soft)}
.row{fill:var(--row)}.grid{stroke:var(--line)}
.hatch-back{fill:var(--back)}.hatch-line{stroke:var(--hatch);stroke-width:4}
.mark line{stroke:var(--text);stroke-dasharray:3 3}.timeline .mark text{font-size:11px;font-weight:700}
.key>span{margin-right:18px}
.key .hatch,.key .flag{display:inline-block;width:22px;height:11px;margin-right:4px;border:1px solid var(--line)}
.key .hatch{background:repeating-linear-gradient(45deg,var(--hatch) 0 2px,var(--back) 2px 6px)}
.key .flag{border:0;border-left:2px dashed var(--text);width:6px}
.pair{display:flex;flex-wrap:wrap;gap:4px 40px;align-items:flex-start}
.pair>div{flex:1 1 420px;max-width:620px;min-width:0;overflow-x:auto}
table{border-collapse:collapse;width:100%;font-size:14px;font-variant-numeric:tabular-nums}
th,td{text-align:left;padding:4px 12px 4px 0;border-bottom:1px solid var(--line);vertical-align:top}
thead th{color:var(--soft);font-weight:500;font-size:12px}
tbody th{font-weight:600;overflow-wrap:break-word}.none th{font-weight:400}
.pair td{white-space:nowrap}
.bar{width:96px;height:10px;display:block;margin-top:6px;background:var(--row);border-radius:2px}
th i{display:inline-block;width:18px;height:18px;margin-right:8px;border-radius:3px;font:700 11px/18px
system-ui,sans-serif;text-align:center;color:#10151c;vertical-align:1px}
.none i{height:0}rect.none{fill:var(--soft);opacity:.45}
.matrix{width:auto}.wide{flex-basis:100%!important}
.matrix td,.matrix th{padding:4px 10px;text-align:center}.matrix tbody th{text-align:right}
.matrix td{background:color-mix(in srgb,var(--heat-to) var(--heat,0%),transparent)}
.c0{fill:#7e9bf2;background:#7e9bf2}.c1{fill:#efb118;background:#efb118}.c2{fill:#ff725c;background:#ff725c}
.c3{fill:#6cc5b0;background:#6cc5b0}.c4{fill:#3ca951;background:#3ca951}.c5{fill:#ff8ab7;background:#ff8ab7}
.c6{fill:#b587f5;background:#b587f5}.c7{fill:#97cbf5;background:#97cbf5}.c8{fill:#b98a6e;background:#b98a6e}
.c9{fill:#9aa3ad;background:#9aa3ad}
@media print{:root{color-scheme:light;--back:#fff;--text:#000;--soft:#444;--line:#ccc;--row:#f3f5f8;--notice:#fff6dd;
--hatch:#999;--heat-to:#4269d0}*{print-color-adjust:exact;-webkit-print-color-adjust:exact}
main{max-width:none;padding:0}body{font-size:11pt}@page{margin:16mm}
h2,h3,h2+p{break-after:avoid}.key{break-before:avoid}p,tr,.timeline,.pair>div{break-inside:avoid}.pair{display:block}.pair>div{margin-bottom:14px}}
"""
