// Search without a server: a browser starts no worker from a file, so a hidden frame takes the place of one.
if (location.protocol === "file:") {
  window.Worker = class extends EventTarget {
    constructor(address) {
      super();
      const frame = document.createElement("iframe");
      frame.hidden = true;
      document.body.append(frame);
      this.inside = frame.contentWindow;
      this.waiting = [];
      this.inside.postMessage = (data) => {
        const event = new MessageEvent("message", { data });
        this.dispatchEvent(event);
        this.onmessage?.(event);
      };
      const script = frame.contentDocument.createElement("script");
      script.src = address;
      script.onload = () => this.waiting.splice(0).forEach((data) => this.deliver(data), (this.ready = true));
      frame.contentDocument.body.append(script);
    }
    postMessage(data) {
      this.ready ? this.deliver(data) : this.waiting.push(data);
    }
    deliver(data) {
      const event = new this.inside.MessageEvent("message", { data });
      this.inside.dispatchEvent(event);
    }
    terminate() {}
  };
}
