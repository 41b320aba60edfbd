// Posts the page's one form at once. Without scripts the person presses its button.
const form = document.querySelector("form[data-autopost]");
// A field may be called "submit" and hide the method of that name.
if (form) HTMLFormElement.prototype.submit.call(form);
