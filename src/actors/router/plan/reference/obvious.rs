//! The slow and obvious reference for courses and plans.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use super::{
    super::{ExclusionReason, pool::NOW},
    cause,
    drawn::{ALIASES, ASKED, Drawn, DrawnRoute, Key, LISTED, ROUTES, Request},
    upstream,
};
use crate::domain::{
    failure::FailureClass,
    model::Capabilities,
    route::{Mode, Strategy},
    time::Timestamp,
};

/// What the star of a pattern stands for, when the name fits.
fn star<'n>(pattern: &str, name: &'n str) -> Option<&'n str> {
    let Some((head, tail)) = pattern.split_once('*') else {
        return (pattern == name).then_some("");
    };
    let is_fit =
        name.len() >= head.len() + tail.len() && name.starts_with(head) && name.ends_with(tail);
    is_fit.then(|| &name[head.len()..name.len() - tail.len()])
}

/// The most particular first: names, then the longer patterns.
fn particular(pattern: &str) -> (bool, Reverse<usize>, String) {
    (pattern.contains('*'), Reverse(pattern.len()), pattern.to_owned())
}

/// What a name leads to.
pub(super) struct Meant<'d> {
    pub(super) name: String,
    pub(super) route: Option<&'d DrawnRoute>,
    pub(super) mode: Option<Mode>,
}

impl Meant<'_> {
    /// Whether priorities come first, and whether they are looked at where the rest is equal.
    pub(super) fn tiers(&self, request: &Request) -> (bool, bool) {
        let of_route = self.route.is_some_and(|route| route.across_tiers);
        let is_across = request.across_tiers.unwrap_or(of_route);
        let has_targets = self.route.is_some_and(|route| !route.targets.is_empty());
        (!is_across && !has_targets, !is_across)
    }
}

#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) provider: usize,
    pub(super) upstream: String,
    capabilities: Option<Capabilities>,
    window: Option<u64>,
    rank: Option<u32>,
    place: usize,
    pub(super) weight: u32,
    slots: u32,
}

impl Entry {
    fn position(&self) -> Place {
        (self.provider, self.upstream.clone())
    }
}

/// A provider and an upstream name.
type Place = (usize, String);

/// The name that was asked for and, among the models of one provider, the provider.
type Turn = (String, Option<usize>);

/// Turns as they were taken.
#[derive(Default, Clone)]
pub(super) struct Taken {
    /// Who was last, and how often in a row.
    last: BTreeMap<Turn, (Place, u32)>,
    credits: BTreeMap<String, Vec<(Place, i64, i64)>>,
}

impl Taken {
    /// Which of the members, sorted, is next; each has so many turns in a row.
    fn rotate(&mut self, name: Turn, all: &[(Place, u32)]) -> usize {
        let most = all.iter().map(|(_, slots)| *slots).max().unwrap();
        let (next, count) = match self.last.get(&name) {
            None => (all.iter().position(|(_, slots)| *slots == most).unwrap(), 1),
            Some((last, count)) => match all.iter().position(|(who, _)| who == last) {
                Some(same) if *count < all[same].1 => (same, count + 1),
                _ => (all.iter().position(|(who, _)| who > last).unwrap_or(0), 1),
            },
        };
        self.last.insert(name, (all[next].0.clone(), count));
        next
    }

    /// Each gains its weight; who has most is next and pays for all.
    fn weigh(&mut self, name: &str, all: &[(Place, i64)]) -> usize {
        let credits = self.credits.entry(name.to_owned()).or_default();
        if !credits.iter().map(|(who, weight, _)| (who, weight)).eq(all.iter().map(|(w, n)| (w, n)))
        {
            *credits = all.iter().map(|(who, weight)| (who.clone(), *weight, 0)).collect();
        }
        for (_, weight, credit) in credits.iter_mut() {
            *credit += *weight;
        }
        let most = credits.iter().map(|(_, _, credit)| *credit).max().unwrap();
        let next = credits.iter().position(|(_, _, credit)| *credit == most).unwrap();
        credits[next].2 -= all.iter().map(|(_, weight)| *weight).sum::<i64>();
        next
    }
}

impl Drawn {
    pub(super) fn is_usable(&self, number: usize) -> bool {
        let row = &self.rows[number];
        row.enabled.unwrap_or(!row.keys.is_empty())
            && row.flaw > 1
            && (!row.keys.is_empty() || row.is_local)
    }

    pub(super) fn is_listed(&self, name: &str) -> bool {
        self.rows.iter().flat_map(|row| &row.models).any(|listed| LISTED[listed.name] == name)
    }

    /// The usable providers by priority, then by id.
    pub(super) fn usable(&self) -> Vec<usize> {
        let mut all: Vec<usize> = (0..self.rows.len()).filter(|n| self.is_usable(*n)).collect();
        all.sort_by_key(|number| (Reverse(self.rows[*number].priority), *number));
        all
    }

    pub(super) fn means(&self, asked: &str) -> Meant<'_> {
        let mut aliases: Vec<_> = self.aliases.iter().map(|number| ALIASES[*number]).collect();
        aliases.sort_by_key(|(name, _)| particular(name));
        let is_mode = |name: &str| matches!(name, "auto" | "cloud" | "local");
        let by_star = !self.is_listed(asked) && !is_mode(asked);
        aliases.retain(|(name, _)| !name.contains('*') || by_star);
        let put = |(name, to): &(&str, &str)| Some(to.replace('*', star(name, asked)?));
        let name = aliases.iter().find_map(put).unwrap_or_else(|| asked.to_owned());
        let mut routes: Vec<&DrawnRoute> = self.routes.iter().rev().collect();
        routes.sort_by_key(|route| particular(ROUTES[route.name]));
        routes.retain(|route| !is_mode(&name) || ROUTES[route.name] == name);
        let route = routes.into_iter().find(|route| star(ROUTES[route.name], &name).is_some());
        let mode = match name.as_str() {
            "auto" => Some(Mode::Auto),
            "cloud" => Some(Mode::Cloud),
            "local" => Some(Mode::Local),
            _ => None,
        };
        Meant { mode: mode.filter(|_| route.is_none()), name, route }
    }

    /// Whoever serves this very name, best provider first.
    fn serving(&self, name: &str, (place, weight): (usize, u32)) -> Vec<Entry> {
        let mut all = Vec::new();
        for provider in self.usable() {
            let row = &self.rows[provider];
            let listed = row.models.iter().find(|listed| LISTED[listed.name] == name);
            let named = Entry {
                provider,
                upstream: listed.map_or_else(|| name.to_owned(), upstream),
                capabilities: listed.and_then(|listed| listed.capabilities),
                window: listed.and_then(|listed| listed.window),
                rank: listed.and_then(|listed| listed.rank),
                place,
                weight,
                slots: 1,
            };
            if listed.is_some() || row.models.is_empty() {
                all.push(named);
            }
        }
        all
    }

    fn entries(&self, meant: &Meant<'_>) -> Vec<Entry> {
        if meant.mode.is_some() {
            let mut listed: Vec<Entry> = Vec::new();
            // The newest first, then the highest rank, then the best provider.
            for name in LISTED.iter().rev() {
                listed.extend(self.serving(name, (0, 1)));
            }
            listed.retain(|entry| !self.rows[entry.provider].models.is_empty());
            let ranked: BTreeSet<usize> =
                listed.iter().filter(|e| e.rank.is_some()).map(|e| e.provider).collect();
            listed.retain(|entry| entry.rank.is_some() || !ranked.contains(&entry.provider));
            listed.sort_by_key(|entry| Reverse(entry.rank));
            let usable = self.usable();
            listed.sort_by_key(|entry| usable.iter().position(|number| *number == entry.provider));
            return listed;
        }
        let targets = meant.route.map_or(&[][..], |route| &route.targets);
        if targets.is_empty() {
            return self.serving(&meant.name, (0, 1));
        }
        let mut entries: Vec<Entry> = Vec::new();
        for (place, target) in targets.iter().enumerate() {
            let name = target.model.map_or(meant.name.as_str(), |number| ASKED[number]);
            let mut there = self.serving(name, (place, target.weight));
            there.retain(|entry| target.provider.is_none_or(|number| number == entry.provider));
            there.retain(|entry| entries.iter().all(|known| known.position() != entry.position()));
            entries.extend(there);
        }
        entries
    }

    /// Until when one of the scopes of a provider keeps a request away, in seconds, and all causes.
    fn kept(&self, entry: &Entry, after: u64) -> Vec<(u64, FailureClass)> {
        let mut kept = Vec::new();
        for is_whole in [true, false] {
            let is_meant = |model: Option<usize>| match model {
                None => is_whole,
                Some(number) => !is_whole && LISTED[number] == entry.upstream,
            };
            let of_it =
                self.cooled.iter().filter(|c| c.provider == entry.provider && is_meant(c.model));
            let Some(end) = of_it.clone().map(|cooled| cooled.seconds).max() else { continue };
            let longest = of_it.clone().find(|cooled| cooled.seconds == end).unwrap();
            if end > after {
                kept.push((end, cause(longest)));
            } else if of_it.clone().any(|cooled| cooled.is_tried) {
                kept.push((after + 1, cause(longest)));
            }
        }
        let last = kept.iter().map(|(until, _)| *until).max();
        kept.retain(|(until, _)| Some(*until) == last);
        kept
    }

    /// All reasons for which one is not asked, but for windows and weights; and its credentials.
    fn reasons(&self, entry: &Entry, meant: &Meant<'_>, request: &Request) -> Vec<ExclusionReason> {
        let row = &self.rows[entry.provider];
        let mut reasons = Vec::new();
        if request.exclude.contains(&entry.provider) {
            reasons.push(ExclusionReason::ExcludedByRequest);
        }
        let fits = |mode| match mode {
            Mode::Auto => true,
            Mode::Cloud => !row.is_local,
            Mode::Local => row.is_local,
        };
        if !fits(request.mode) || !meant.mode.is_none_or(fits) {
            reasons.push(ExclusionReason::OtherMode);
        }
        let capabilities = lacking(entry, request);
        if !capabilities.is_empty() && !request.relax {
            reasons.push(ExclusionReason::Lacks { capabilities });
        }
        let cooling = |(seconds, cause)| ExclusionReason::Cooling { until: second(seconds), cause };
        reasons.extend(self.kept(entry, request.after).into_iter().map(cooling));
        if !row.keys.is_empty() && self.ready(entry.provider, request.after) == 0 {
            let ends = row.keys.iter().filter_map(|key| match key {
                Key::Cooling(seconds) => Some(*seconds),
                _ => None,
            });
            reasons.push(match ends.min() {
                _ if row.keys.contains(&Key::Busy) => ExclusionReason::Busy,
                Some(soonest) => cooling((soonest, FailureClass::RateLimit)),
                None => ExclusionReason::NoCredential,
            });
        }
        reasons
    }

    pub(super) fn ready(&self, provider: usize, after: u64) -> u32 {
        let is_ready = |key: &&Key| match key {
            Key::Ready => true,
            Key::Cooling(seconds) => *seconds <= after,
            Key::Busy | Key::Gone => false,
        };
        self.rows[provider].keys.iter().filter(is_ready).count().try_into().unwrap()
    }

    pub(super) fn strategy_of(&self, meant: &Meant<'_>, request: &Request) -> Strategy {
        let named = request.strategy.or_else(|| meant.route?.strategy);
        Strategy::ALL[named.unwrap_or(self.strategy)]
    }

    /// Who is asked, in order, and each who is not, with all the reasons there are.
    pub(super) fn plan(
        &self,
        meant: &Meant<'_>,
        request: &Request,
        taken: &mut Taken,
    ) -> (Vec<Entry>, Vec<(Entry, Vec<ExclusionReason>)>) {
        let strategy = self.strategy_of(meant, request);
        let (mut asked, mut left_out) = (Vec::new(), Vec::new());
        for mut entry in self.entries(meant) {
            entry.slots = self.ready(entry.provider, request.after).max(1);
            let reasons = self.reasons(&entry, meant, request);
            if reasons.is_empty() { asked.push(entry) } else { left_out.push((entry, reasons)) }
        }
        if strategy == Strategy::Weighted {
            let idle = asked.extract_if(.., |entry| entry.weight == 0);
            left_out.extend(idle.map(|entry| (entry, vec![ExclusionReason::NoWeight])));
        }
        let is_small = |entry: &Entry| entry.window.is_some_and(|window| window < request.prompt);
        if !asked.iter().all(is_small) {
            let small = asked.extract_if(.., |entry| is_small(entry));
            left_out.extend(small.map(|entry| (entry, vec![ExclusionReason::WindowTooSmall])));
        }
        let mut firsts: Vec<Entry> = Vec::new();
        for entry in &asked {
            let is_known = firsts.iter().any(|first| first.provider == entry.provider);
            if meant.mode.is_none() || !is_known {
                firsts.push(entry.clone());
            }
        }
        let before = taken.clone();
        self.order((meant, request), &mut firsts, taken);
        let mut ordered = Vec::new();
        for first in firsts {
            if meant.mode.is_none() {
                ordered.push(first);
                continue;
            }
            let of_it = asked.iter().filter(|entry| entry.provider == first.provider);
            let (mut equals, others): (Vec<Entry>, Vec<Entry>) =
                of_it.cloned().partition(|entry| entry.rank == first.rank);
            if equals.len() > 1 {
                let mut members: Vec<_> = equals.iter().map(|e| (e.position(), 1)).collect();
                members.sort();
                let next = taken.rotate((meant.name.clone(), Some(first.provider)), &members);
                let at = equals.iter().position(|e| e.position() == members[next].0).unwrap();
                equals.rotate_left(at);
            }
            ordered.extend(equals.into_iter().chain(others));
        }
        let preferred = request.prefer.or(request.bound);
        // Whoever is asked whatever the turn has taken none.
        if preferred.is_some_and(|number| asked.iter().any(|entry| entry.provider == number)) {
            *taken = before;
        }
        ordered.sort_by_key(|entry| preferred.is_some_and(|number| number != entry.provider));
        if request.relax {
            ordered.sort_by_key(|entry| !lacking(entry, request).is_empty());
        }
        (ordered, left_out)
    }

    /// Orders each tier for itself. Only in the first one a turn is taken.
    fn order(
        &self,
        (meant, request): (&Meant<'_>, &Request),
        all: &mut Vec<Entry>,
        taken: &mut Taken,
    ) {
        let (comes_first, _) = meant.tiers(request);
        let has_times = |is_streamed: bool| {
            all.iter().any(|e| self.rows[e.provider].took(is_streamed).is_some())
        };
        // Times of what is asked for, or of the other where there is none.
        let times = if has_times(request.is_streamed) || !has_times(!request.is_streamed) {
            request.is_streamed
        } else {
            !request.is_streamed
        };
        let priority = |entry: &Entry| self.rows[entry.provider].priority;
        let mut left = std::mem::take(all);
        while let Some(highest) = left.iter().map(priority).max() {
            let is_next = |entry: &Entry| !comes_first || priority(entry) == highest;
            let (mut tier, others): (Vec<_>, Vec<_>) = left.into_iter().partition(is_next);
            left = others;
            let taken = all.is_empty().then_some(&mut *taken);
            self.order_tier((meant, request, times), &mut tier, taken);
            all.append(&mut tier);
        }
    }

    fn order_tier(
        &self,
        (meant, request, times): (&Meant<'_>, &Request, bool),
        all: &mut Vec<Entry>,
        taken: Option<&mut Taken>,
    ) {
        let (strategy, name) = (self.strategy_of(meant, request), &meant.name);
        all.sort_by_key(Entry::position);
        let members = all.clone();
        let row = |entry: &Entry| &self.rows[entry.provider];
        all.sort_by_key(|entry| !row(entry).speaks);
        // No price is known, and where prices are equal it goes by preference.
        let goes_by_it = matches!(strategy, Strategy::Priority | Strategy::Cost);
        if goes_by_it || meant.tiers(request).1 {
            all.sort_by_key(|entry| Reverse(row(entry).priority));
        }
        all.sort_by_key(|entry| entry.place);
        match strategy {
            Strategy::Priority | Strategy::Cost | Strategy::FillFirst => {}
            Strategy::Latency => all.sort_by_key(|e| match row(e).took(times) {
                Some(took) => took,
                None if row(e).in_flight == 0 => 0,
                None => u64::MAX,
            }),
            // In twelfths, which halves and thirds are whole numbers of.
            Strategy::LeastBusy => {
                all.sort_by_key(|e| row(e).in_flight * 12 / usize::try_from(e.slots).unwrap());
            }
            Strategy::RoundRobin => *all = members.clone(),
            Strategy::Weighted => all.sort_by_key(|entry| Reverse(entry.weight)),
        }
        let Some(taken) = taken.filter(|_| members.len() > 1) else { return };
        if strategy == Strategy::RoundRobin {
            let slots: Vec<_> = members.iter().map(|e| (e.position(), e.slots)).collect();
            all.rotate_left(taken.rotate((name.clone(), None), &slots));
        }
        if strategy == Strategy::Weighted {
            let weights: Vec<_> = members.iter().map(|e| (e.position(), e.weight.into())).collect();
            let next = members[taken.weigh(name, &weights)].position();
            all.sort_by_key(|entry| entry.position() != next);
        }
    }
}

pub(super) fn lacking(entry: &Entry, request: &Request) -> Capabilities {
    let wanted = request.needs.union(request.required);
    entry.capabilities.map_or(Capabilities::NONE, |known| wanted.without(known))
}

pub(super) fn second(number: u64) -> Timestamp {
    NOW.plus(Duration::from_secs(number))
}
