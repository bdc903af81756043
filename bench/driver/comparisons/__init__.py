"""One file for each comparison: what is measured, against whom, and what has to be equal before."""

from . import abuse, agents, claims, downloads, events, groups, postgres, reads, schedules, sizes, starts, uploads

# In the order in which `bench/run all` takes them and `RESULTS.md` shows them.
ALL = {
    "reads": reads.run,
    "sizes": sizes.run,
    "groups": groups.run,
    "uploads": uploads.run,
    "downloads": downloads.run,
    "schedules": schedules.run,
    "claims": claims.run,
    "starts": starts.run,
    "postgres": postgres.run,
    "agents": agents.run,
    "events": events.run,
    "abuse": abuse.run,
}
