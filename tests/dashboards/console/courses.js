// Plays courses of events on the desk's pure modules; answers with what went wrong in each.
async (courses) => {
  const worlds = await import("/static/js/world.js"),
    desks = await import("/static/js/desk.js");
  return courses.map((course) => {
    const world = worlds.newWorld(),
      desk = desks.newDesk(),
      wrong = [];
    let now = 0,
      typing = "";
    for (const [what, n] of course) {
      now += 400;
      const before = desk.shown,
        alert = (state) => ({
          id: `a${n}`,
          kind: "panic",
          state,
          school: "s",
          opened_ms: n,
          drill: false,
          duress: n % 7 === 0,
          score: n % 4,
          acknowledged_by: state === "open" ? "" : "bolat",
          assigned_to: "",
        });
      if (what === "open") worlds.fold(world, "panic", alert("open"), now);
      if (what === "take") worlds.fold(world, "life", alert("acknowledged"), now);
      if (what === "close") worlds.fold(world, "life", alert("closed"), now);
      if (what === "whole")
        worlds.fold(world, "beat", { now_ms: now, fresh_ms: {}, counts: {}, whole: true }, now);
      if (what === "type" && desk.shown) {
        desks.touch(desk, now);
        typing = desk.shown;
        desks.write(desk, desk.shown, `${desks.draft(desk, desk.shown)}<${desk.shown}>`);
      }
      if (what === "blur") typing = "";
      if (what === "leave") {
        desks.leave(desk, now);
        typing = "";
      }
      if (what === "wait") now += 70_000;
      const id = desks.due(
        desk,
        world,
        { login: "aigerim", dialog: what === "dialog", writing: typing !== "" },
        now,
      );
      if (id) {
        const shown = worlds.alertById(world, desk.shown);
        if (what === "dialog" || (typing && desk.shown) || now - desk.touchedAt < 1000)
          wrong.push(["moved", what, id]);
        if (shown?.state === "open" && desk.touched) wrong.push(["taken away", desk.shown, id]);
        if (worlds.alertById(world, id).state !== "open") wrong.push(["not waiting", id]);
        desks.show(desk, id, now, false);
        if (desks.meant(desk, id, now + 9000)) wrong.push(["meant before it was drawn", id]);
        desks.drawn(desk, id, now);
        if (desks.meant(desk, id, now + 999)) wrong.push(["meant", id]);
        if (!desks.meant(desk, id, now + 1000)) wrong.push(["not meant", id]);
      }
      for (const [of, text] of desk.drafts)
        if (text.replaceAll(`<${of}>`, "")) wrong.push(["draft", of, text]);
      if (what === "type" && before && desk.shown !== before) wrong.push(["changed", before, desk.shown]);
    }
    // Nobody is forgotten: with nothing shown, whoever waits comes within a minute.
    desk.shown = "";
    const waits = [...world.panics.values()].some((p) => p.state === "open");
    if (waits && !desks.due(desk, world, { login: "aigerim" }, now + 61_000)) wrong.push(["forgotten"]);
    return wrong;
  });
}
