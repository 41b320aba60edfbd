// Goes on as soon as every app has answered, or has had its time. Without scripts the page's own refresh does,
// and its link always.
(function () {
  var link = document.querySelector("a[data-onward]");
  var gone = false;
  function go() {
    if (gone || !link) return;
    gone = true;
    window.location.replace(link.href);
  }
  window.addEventListener("load", go);
  window.setTimeout(go, 5000);
})();
