//! Marks of development and test, and applications that are misconfigured: said, ranked lower, and
//! never hidden.

use std::borrow::Cow;
use std::collections::BTreeMap;

use engine::{Alert, AlertId, Engine, Expectations, Level, Limits};
use observation::{ConnState, Fact};

use crate::baselines::label;
use crate::busy;
use crate::habits::{Dice, Kind, call, timer, workload};
use crate::world::{World, judge, keep};

const MARK_DB: i16 = 2;

fn mark_of(alert: &Alert) -> Option<&str> {
    let mut terms = alert.evidence.iter().map(|term| term.observed.as_str());
    terms.find(|observed| observed.starts_with("marked as development or test"))
}

fn beacon() -> (World, observation::ContainerId) {
    let (mut world, mut dice) = (World::new(), Dice::new(3));
    let it = workload(&mut world, 1, 1);
    for at in timer(60.0, 0.1, 0.0, 6.0, &mut dice) {
        call(&mut world, &it, &Kind::to([37, 1, 1, 9], 443), at, &mut dice);
    }
    (world, it.id)
}

#[test]
fn a_mark_is_said_lowers_a_little_and_hides_nothing() {
    let plain = judge(&busy::world().merged());
    let mut world = busy::world();
    for told in &mut world.facts {
        if let Fact::Container(fact) = &mut told.fact {
            fact.labels.push(Cow::Borrowed("env=dev"));
        }
    }
    let marked = judge(&world.merged());
    assert_eq!(plain.keys().collect::<Vec<_>>(), marked.keys().collect::<Vec<_>>());
    let mut marked_count = 0;
    for (id, alert) in &marked {
        let before = &plain[id];
        assert!((0..=MARK_DB).contains(&(before.sum_db - alert.sum_db)), "{alert:#?}");
        assert!(before.level < Level::High || alert.level >= Level::Medium);
        assert!(before.level < Level::Low || alert.level >= Level::Low);
        let described = alert.subjects.iter().any(|subject| {
            let container = subject.container.as_ref();
            container.is_some_and(|container| container.privilege.is_some())
        });
        if described {
            assert_eq!(
                mark_of(alert),
                Some("marked as development or test: `dev` in its label"),
                "{alert:#?}"
            );
            marked_count += 1;
        }
    }
    assert!(marked_count > 5);
}

#[test]
fn the_words_stand_in_names_tags_projects_and_labels_and_may_be_others() {
    let told = |change: &dyn Fn(&mut World, observation::ContainerId), words: Option<&str>| {
        let (mut world, id) = beacon();
        change(&mut world, id);
        let mut engine = Engine::new(Limits::default(), 0);
        if let Some(words) = words {
            let marks = vec![words.to_owned()];
            engine.expect(Expectations { marks, ..Expectations::default() });
        }
        let mut alerts: BTreeMap<AlertId, Alert> = BTreeMap::new();
        for told in world.merged() {
            engine.observe(&told, &mut |update| keep(&mut alerts, update));
        }
        engine.finish(&mut |update| keep(&mut alerts, update));
        let alert = alerts.into_values().next().unwrap();
        mark_of(&alert).map(|mark| mark.rsplit(": ").next().unwrap().to_owned())
    };
    let say = |mark: &str| Some(mark.to_owned());
    let named = |world: &mut World, name: &'static str, image: &'static str| {
        for told in &mut world.facts {
            if let Fact::Container(fact) = &mut told.fact {
                (fact.name, fact.image) = (Cow::Borrowed(name), Cow::Borrowed(image));
            }
        }
    };
    assert_eq!(told(&|_, _| {}, None), None);
    assert_eq!(told(&|w, _| named(w, "web-ci-1", "web"), None), say("`ci` in its name"));
    assert_eq!(
        told(&|w, _| named(w, "web", "dev/web:1-debug"), None),
        say("`debug` in its image tag")
    );
    assert_eq!(told(&|w, _| named(w, "web", "dev/web:1"), None), None, "dev publishes it");
    let project = &["com.docker.compose.project=shop-test"];
    assert_eq!(told(&|w, id| label(w, id, project), None), say("`test` in its project"));
    let staging = &["env=staging"];
    assert_eq!(told(&|w, id| label(w, id, staging), None), None);
    assert_eq!(
        told(&|w, id| label(w, id, staging), Some("staging")),
        say("`staging` in its label")
    );
}

#[test]
fn an_application_that_calls_in_vain_is_called_misconfigured_and_stays_low() {
    for (state, words) in [
        (ConnState::S0, "nobody answers, as at a dead address"),
        (ConnState::Rej, "refused, as at a wrong port"),
    ] {
        let (mut world, mut dice) = (World::new(), Dice::new(3));
        let it = workload(&mut world, 1, 1);
        let dead = Kind { state, ..Kind::to([37, 1, 1, 9], 5672) };
        for at in timer(8.0, 0.05, 0.0, 2.0, &mut dice) {
            call(&mut world, &it, &dead, at, &mut dice);
        }
        let alert = world.alert();
        assert_eq!(alert.level, Level::Low);
        assert!(alert.summary.contains("misconfigured"), "{}", alert.summary);
        assert!(alert.evidence.iter().any(|term| term.observed.contains(words)), "{alert:#?}");
    }
}
