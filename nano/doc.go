// Package nano is the built-in world: a small closed English world whose truth is known, and
// a tiny language model that was pre-trained on texts generated from it (DESIGN §5).
//
// Vocabulary:
//
//   - A [World] is data, one YAML file: attributes with their values and sentence forms,
//     task families with the attributes that matter to them, names.
//   - A persona gives every attribute one value, told in one short sentence each.
//   - A [Task] is a wording that belongs to a family. An attribute is relevant to a task when
//     it fills a slot of the family's response.
//   - The gold response fills all slots with the persona's values. A response to a
//     conversation fills those whose values were told and says something generic elsewhere.
//   - A [Split] holds tasks and personas. Wordings and value combinations are assigned to
//     the splits A, B, test and to the pre-training corpus by a hash of themselves, so that
//     no two of these ever share one, whatever the seed.
//
// Nothing in this package knows of Algorithm 1: the base model of the world can play every
// role, but it asks about any attribute, whatever the task. Asking what matters is what the
// loop must teach it.
package nano
