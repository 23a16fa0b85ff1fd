/* Pulsehouse tracker: tells who is on this site now. No cookies, no storage, never throws. Options: docs/tracker.md */
(function (window, document, history) {
  try {
    var script = document.currentScript || document.querySelector("script[data-site][src*='pulse.js']");
    var options = script.dataset;
    var endpoint = new URL("../api/track", script.src).href;
    var referrer = document.referrer;
    var page, missed, sentAt;

    if (!options.site || window.pulse) return explain(window.pulse ? "twice" : "site");
    window.pulse = { track: track };
    var silent = "dnt" in options && (navigator.globalPrivacyControl || navigator.doNotTrack == 1);

    // With data-debug, or on localhost, the console says what is sent.
    function explain(why, then) {
      if (!("debug" in options || location.hostname == "localhost")) return then && then();
      var other = document.createElement("script");
      other.src = new URL("pulse-debug.js", script.src);
      other.dataset.why = why;
      other.onload = other.onerror = then;
      document.head.append(other);
    }

    // With data-hash, "/app/#/users" is the page "/app/users"; an anchor such as "#top" is no page.
    function here() {
      var route = "hash" in options && /^#!?\/([^?#]*)/.exec(location.hash);
      return (route ? location.pathname.replace(/\/?$/, "/") + route[1] : location.pathname).slice(0, 2048);
    }

    function send(signal) {
      try {
        signal.siteId = options.site;
        signal.path = signal.path || here();
        sentAt = Date.now();
        var body = JSON.stringify(signal); // a string travels as text/plain: no preflight
        if (navigator.onLine === false) return lost();
        if (navigator.sendBeacon && navigator.sendBeacon(endpoint, body)) return;
        fetch(endpoint, { method: "POST", body: body, keepalive: true, credentials: "omit" }).catch(lost);
      } catch (e) {}

      // The server stamps arrival, so what was lost is not repeated late: the page open by then is sent, once.
      function lost() {
        missed = missed || signal.type == "pageview";
      }
    }

    function pageview() {
      var utm = {};
      page = here();
      new URLSearchParams(location.search).forEach(function (value, name) {
        if (/^utm_(source|medium|campaign)$/.test(name)) utm[name.slice(4)] = value.slice(0, 200);
      });
      send({ type: "pageview", referrer: referrer, utm: utm });
      referrer = location.origin;
    }

    function moved() {
      try {
        if (here() != page) pageview();
      } catch (e) {}
    }

    function heartbeat() {
      if (document.visibilityState == "visible" && Date.now() - sentAt > 29e3) send({ type: "heartbeat" });
    }

    function track(name, props) {
      try {
        var isType = /^(pageview|event|engagement|heartbeat)$/.test(name);
        if (!silent) send(Object.assign(isType ? { type: name } : { type: "event", action: name }, props));
      } catch (e) {}
    }

    function start() {
      ["pushState", "replaceState"].forEach(function (name) {
        var original = history[name];
        history[name] = function () {
          var result = original.apply(this, arguments);
          moved();
          return result;
        };
      });
      addEventListener("popstate", moved);
      addEventListener("hashchange", moved);
      addEventListener("pageshow", function (event) {
        if (event.persisted) pageview(); // back from the back/forward cache
      });
      addEventListener("online", function () {
        if (missed) missed = pageview();
      });
      document.addEventListener("visibilitychange", heartbeat);
      setInterval(heartbeat, 3e4);
      pageview();
    }

    if (silent) explain("wish");
    else if (document.prerendering) document.addEventListener("prerenderingchange", start, { once: true });
    else explain("", start);
  } catch (e) {}
})(window, document, history);
