// Goes on as soon as every app has answered, or has had its time. Without scripts the page's own refresh does
// where the way is a link, and the link or button always.
(function () {
  var way = document.querySelector("[data-onward]");
  var gone = false;
  function go() {
    if (gone || !way) return;
    gone = true;
    // A field may be called "submit" and hide the method of that name.
    if (way instanceof HTMLFormElement) HTMLFormElement.prototype.submit.call(way);
    else window.location.replace(way.href);
  }
  window.addEventListener("load", go);
  window.setTimeout(go, 5000);
})();
