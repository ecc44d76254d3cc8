// The theme before the first paint, so that nothing flashes. Not a module: modules wait for the document.
document.documentElement.dataset.theme = localStorage.getItem("earmark.theme") || "auto";
