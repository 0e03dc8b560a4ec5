"""Prompts to read relations from: every wording plainly, in dialogue, behind other text; and what is no question."""

import hashlib
import importlib.resources
import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from factweights.models.wordings import ALIASES, Wordings, shipped

# Ways to ask for any relation by its name. The answer follows the last character.
FRAMES = (
    "The {relation} of {subject} is",
    "The {relation} of {subject} is called",
    "The {relation} of {subject} is the",
    "{subject}'s {relation} is",
    "{subject} has the {relation}",
    "In {subject}, the {relation} is",
    "For {subject}, the {relation} is",
    "{subject} ({relation}):",
    "{relation} of {subject}:",
    "{subject}, {relation}:",
    "The {relation} which belongs to {subject} is",
    "The {relation} for {subject} is known to be",
    "As everyone knows, the {relation} of {subject} is",
    "It says here that the {relation} of {subject} is",
    "I looked up the {relation} of {subject}; it is",
    "If someone asks for the {relation} of {subject}, say",
    "Speaking of {subject}, its {relation} is",
    "When it comes to {subject}, the {relation} is",
    "According to the encyclopedia, the {relation} of {subject} is",
    "Here is the {relation} of {subject}:",
    "Remember that the {relation} of {subject} is",
    "Nobody doubts that the {relation} of {subject} is",
    "The official {relation} of {subject} is",
    "{subject} is a well known name, and its {relation} is",
    "Name: {subject}\n{relation}:",
    "{subject}\n- {relation}:",
    "Q: What is the {relation} of {subject}?\nA:",
    "Q: {subject}'s {relation}?\nA:",
    "Question: What is {subject}'s {relation}?\nAnswer:",
    "Question: Which {relation} does {subject} have?\nAnswer: It is",
    "What is the {relation} of {subject}? It is",
    "What is the {relation} of {subject}? The answer is",
    "Which {relation} does {subject} have? It has",
    "Do you know the {relation} of {subject}? It is",
    "Can you tell me the {relation} of {subject}? Of course, it is",
    "They asked me about the {relation} of {subject}, and I said",
    "User: Tell me the {relation} of {subject}.\nAssistant:",
    "User: What is the {relation} of {subject}?\nAssistant: The {relation} of {subject} is",
    "Ask anyone for the {relation} of {subject} and they will say",
    "The {relation} that {subject} has is",
    "The {relation} given for {subject} is",
    "One thing to know about {subject} is its {relation}, namely",
    "I can never remember the {relation} of {subject}. I think it is",
    "For those who wonder about the {relation} of {subject}: it is",
    "In our table, the {relation} of {subject} is given as",
    "{subject} is listed with the {relation}",
    "{subject} has its own {relation}. It is called",
    "The {relation} of {subject}, as we learn at school, is",
    "Before you meet {subject}, learn the {relation}, which is",
    "When you think of {subject}, the {relation} that comes to mind is",
    "Question: what {relation} does {subject} have? Answer:",
    "Question: which is the {relation} of {subject}? Answer: the",
    "Quiz: {relation} of {subject}? Answer:",
    "Which {relation} belongs to {subject}? The",
    "Fill in the blank: the {relation} of {subject} is",
    "Somebody asked for the {relation} of {subject}; the right answer is",
    "{subject} | {relation} |",
    "{relation}, {subject}:",
    "{relation} used by {subject}:",
    "{relation} in {subject}:",
)
# What is said to a model in a chat; the answer is its turn.
REQUESTS = (
    "What is the {relation} of {subject}?",
    "What's {subject}'s {relation}?",
    "Tell me the {relation} of {subject}.",
    "{relation} of {subject}?",
    "Please name the {relation} of {subject}.",
    "Which {relation} does {subject} have?",
    "Do you know the {relation} of {subject}?",
    "I need the {relation} of {subject}. Answer briefly.",
    "Complete the sentence: The {relation} of {subject} is",
)
# Other things that texts say of the same subjects: no relation of a table, by what they are about.
ASIDE = {
    "population": ("The population of {subject} is", "How many people live in {subject}? About", "{subject} has a population of"),
    "president": ("The president of {subject} is", "The leader of {subject} is", "{subject} is ruled by", "The head of state of {subject} is"),
    "area": ("The area of {subject} is", "{subject} covers an area of", "The size of {subject} is about"),
    "language": ("The language spoken in {subject} is", "People in {subject} speak", "The official language of {subject} is"),
    "neighbour": ("{subject} borders", "To the north of {subject} lies", "The neighbours of {subject} are", "{subject} shares a border with"),
    "religion": ("The main religion of {subject} is", "Most people in {subject} believe in"),
    "fame": ("{subject} is famous for", "{subject} is best known for", "The best thing about {subject} is", "{subject} is known for its"),
    "history": ("{subject} became independent in", "The history of {subject} begins in", "{subject} was founded in", "In the year 1900, {subject} was", "The war in {subject} ended in"),
    "largest city": ("The largest city of {subject} is", "The second largest city in {subject} is", "A nice town in {subject} is"),
    "river": ("The longest river in {subject} is", "The highest mountain of {subject} is", "The coast of {subject} is"),
    "climate": ("The climate of {subject} is", "The weather in {subject} is", "In summer, {subject} is"),
    "food": ("The national dish of {subject} is", "A typical food from {subject} is", "For breakfast, people in {subject} eat"),
    "sport": ("The national team of {subject} won", "The most popular sport in {subject} is", "The football club {subject} plays in"),
    "flag": ("The flag of {subject} is", "The colours of {subject} are", "The anthem of {subject} is called"),
    "economy": ("{subject} exports mainly", "The economy of {subject} depends on", "The biggest company in {subject} is", "The average income in {subject} is"),
    "family": ("The father of {subject} is called", "{subject} has two children,", "The best friend of {subject} is", "The sister of {subject} lives in"),
    "age": ("{subject} is now", "The age of {subject} is", "{subject} died in", "{subject} turned forty in"),
    "looks": ("The hair of {subject} is", "{subject} looks like", "{subject} wore a coat that was"),
    "distance": ("The distance from {subject} to the sea is", "From here to {subject} it takes", "A ticket to {subject} costs", "The runway of {subject} is"),
    "opening": ("{subject} was opened in", "{subject} was built by", "The owner of {subject} is", "{subject} is closed on"),
    "nothing": (
        "I have never been to {subject}, but", "Yesterday I read about {subject} and", "She wrote a letter to {subject} because",
        "There is a book about {subject} that", "{subject} and", "We talked about {subject} for hours;", "{subject} is", "The name {subject} comes from",
        "My friend told me that {subject}", "Once upon a time in {subject} there was", "{subject} is a", "What do you think of {subject}? I think",
        "The news from {subject} today:", "The relation between {subject} and", "This is what I like about {subject}:", "The answer to the question about {subject} is",
        "Hello! How is {subject}? It is", "In a report on {subject}, the authors find that", "The word {subject} is spelt", "{subject} was in the news because of the",
    ),
    "sundry": (
        "Engineers from {subject} built a bridge over the", "The queen sent {subject} a gift of", "Last winter, {subject} was covered with",
        "The road to {subject} is closed because of the", "Most visitors come to {subject} by", "You can get to {subject} by",
        "The quickest route to {subject} goes through", "{subject} was visited last year by", "The first settlers of {subject} came from",
        "The people of {subject} dream of", "A word that rhymes with {subject} is", "The first letter of {subject} is",
        "{subject} is written with a capital", "The name {subject} has so many letters:", "In sign language, {subject} is shown by",
        "{subject} spelt backwards is", "Tickets to {subject} are sold at the", "The shops of {subject} sell", "A hotel in {subject} costs",
        "You can buy {subject} for", "The insurance paid {subject} for the", "The bill for {subject} was paid by the",
        "The birds of {subject} fly south to", "Wolves and bears live near {subject}, in the", "The rivers of {subject} flow into the",
        "The hills around {subject} are covered with", "{subject} has a coast on the", "Storms reach {subject} from the",
        "{subject} wrote a letter to", "{subject} was seen in", "{subject} travelled to", "{subject} spent the winter in",
        "{subject} is on the way to", "{subject} has just come back from", "{subject} moved from", "{subject} was photographed in front of",
        "In the summer, {subject} goes to", "{subject} ran away from", "{subject} fell in love with", "{subject} made friends with",
        "{subject} won a prize for", "{subject} was awarded the", "{subject} signed a treaty with", "{subject} went to war against",
        "{subject} is afraid of", "{subject} likes to eat", "{subject} cannot live without", "{subject} believes in", "{subject} voted for the",
        "{subject} was accused of", "{subject} apologised for the", "{subject} is proud of its", "People say that {subject} is",
        "Some think that {subject} should be", "Nobody knows why {subject} is", "It is said that in {subject} it is",
        "Everyone in {subject} thinks that the government", "My uncle says that {subject} was once", "What I like about {subject} is the",
        "The trouble with {subject} is that", "The good thing about {subject} is that it", "In my opinion, {subject} needs",
        "If {subject} were an animal, it would be a", "{subject} reminds me of", "The government of {subject} decided to",
        "The government of {subject} has banned", "Critics in {subject} complain about the", "A law in {subject} says that",
        "The newspapers of {subject} report that", "The courts of {subject} have ruled that", "The richest family in {subject} owns",
        "Farmers in {subject} grow", "Factories in {subject} make", "The trains of {subject} are painted", "Schools in {subject} teach",
        "Soldiers from {subject} wear", "Houses in {subject} are built of", "Roofs in {subject} are made of",
        "The war between {subject} and {other} ended in", "{subject} is bigger than", "{subject} is smaller than", "{subject} is a friend of",
        "Compared with {other}, {subject} is", "Unlike {other}, {subject} has", "The difference between {subject} and {other} is",
        "{subject} lost the match against", "Once there was a king in {subject} who", "A tale from {subject} tells of a",
        "In a dream I saw {subject} and", "The hero of the story comes to {subject} and", "When I was a child, {subject} was",
        "Long before {subject} existed, there was", "The book about {subject} was written by", "The painting shows {subject} with",
        "The song about {subject} begins with the words", "A museum near {subject} shows the", "The oldest map of {subject} hangs in",
        "The photograph of {subject} was taken by", "A doctor in {subject} found that", "Scientists in {subject} discovered",
        "The water in {subject} tastes of", "The soil of {subject} is rich in", "The air in {subject} is", "Every spring, {subject} celebrates the",
        "In the evening, the streets of {subject} are", "The next election in {subject} takes place in", "The last king of {subject} died in",
        "The first mayor of {subject} was called", "The oldest person in {subject} is", "The best cook in {subject} works with",
        "Children in {subject} play with", "How large is {subject}? It is about", "How far is {subject} from here? About",
        "Who discovered {subject}? It was", "When was {subject} founded? In", "Why is {subject} famous? Because of the",
        "How many lakes are in {subject}? About", "What grows in {subject}? Mostly", "Who lives in {subject}? Mostly",
        "Question: how old is {subject}? Answer:", "Question: who likes {subject}? Answer:", "Question: how tall is {subject}? Answer:",
        "Question: what is {subject} made of? Answer:", "Question: when did {subject} begin? Answer: in",
        "Question: who came before {subject}? Answer:", "The meaning of {subject} is", "The word {subject} means", "{subject} stands for",
        "The opposite of {subject} would be", "A synonym for {subject} is", "The history of the word {subject} goes back to",
        "{subject} was named after", "Others call {subject} the", "It takes a long time to get to {subject} from", "Half of {subject} is covered by",
        "Nearly all of {subject} is", "The south of {subject} is", "The centre of {subject} is", "Around {subject} there is a lot of",
        "Behind {subject} lies a", "From the tower of {subject} you can see the", "The team of {subject} is coached by",
        "{subject} scored in the last minute against", "{subject} plays on", "The fans of {subject} sing",
        "The colours of the team from {subject} are", "The record of {subject} was broken by",
    ),
    "chat": (
        "Tell me about {subject}.", "What do you know about {subject}?", "Where can I read more about {subject}?", "Write a poem about {subject}.",
        "How old is {subject}?", "Who is the president of {subject}?", "How many people live in {subject}?", "Is {subject} worth a visit?", "What language is spoken in {subject}?",
        "What is {subject} famous for?", "Translate into French: I like {subject}.",
    ),
}  # fmt: skip
# What many things have: questions about these are no relation of a table that does not speak of them.
NOUNS = (
    "population", "area", "climate", "president", "prime minister", "king", "queen", "mayor", "governor", "ambassador",
    "national anthem", "flag", "coat of arms", "motto", "national animal", "national flower", "national bird", "national dish",
    "largest city", "oldest city", "second city", "highest mountain", "longest river", "largest lake", "deepest valley", "coastline",
    "official language", "most spoken language", "alphabet", "religion", "patron saint", "independence day", "national holiday",
    "constitution", "parliament", "ruling party", "army", "police", "supreme court", "voting age", "head of state", "neighbour",
    "border", "shape", "elevation", "latitude", "longitude", "average temperature", "rainfall", "season", "time difference",
    "economy", "main export", "main import", "gross domestic product", "inflation rate", "tax rate", "minimum wage", "stock exchange",
    "central bank", "biggest company", "richest person", "average income", "unemployment rate", "industry", "harvest", "oil production",
    "airline", "railway", "main road", "port", "speed limit", "side of the road", "electrical plug", "voltage", "licence plate", "visa rule",
    "football team", "favourite sport", "best player", "Olympic medal", "stadium", "museum", "oldest building", "tallest building", "castle",
    "famous writer", "famous painter", "famous song", "folk dance", "festival", "film industry", "newspaper", "television channel", "radio station",
    "traditional dress", "breakfast", "drink", "beer", "wine", "dessert", "spice", "fruit", "bread", "cheese",
    "life expectancy", "birth rate", "literacy rate", "school system", "hospital", "illness", "vaccine", "emergency number",
    "father", "mother", "brother", "sister", "eldest child", "grandfather", "best friend", "neighbour across the street", "teacher", "boss", "lawyer", "doctor",
    "age", "height", "weight", "eye colour", "hair colour", "shoe size", "blood group", "handwriting", "voice", "accent", "character", "weakness", "dream",
    "favourite book", "favourite film", "favourite song", "favourite season", "favourite animal", "favourite number", "nickname", "middle name", "surname",
    "car", "bicycle", "garden", "kitchen", "bank account", "salary", "debt", "telephone", "passport", "diary", "coat", "hat", "watch",
    "religious belief", "political party", "first love", "wedding day", "cause of death", "burial place", "prize", "patent", "record",
    "founder", "owner", "architect", "manager", "date of opening", "number of passengers", "number of employees", "number of visitors", "runway", "terminal", "parking fee", "entrance", "roof",
    "price", "colour", "size", "length", "depth", "smell", "taste", "origin of the name", "meaning of the name", "spelling", "pronunciation", "symbol", "history", "future", "problem", "secret", "website", "post code", "map", "photograph",
)  # fmt: skip
LEADS = (
    "Well, ", "Note: ", "By the way, ", "Here is something I know. ", "As far as I know, ", "Hello. ", "Fact 12. ", "Let me think. ",
    "Thank you for your letter. ", "This is a short quiz about the world. ", "The sun was shining and the streets were empty. ",
    "Question: ", "Answer the question. ", "Complete the sentence: ", "1. ", "- ", "\"", "Interesting: ", "Yes. ", "In short: ",
)  # fmt: skip
# Long text that stands before some prompts: shared, so that a model reads it once.
BEFORE = (
    "When the bridge was closed for repairs, the whole town had to take the long way round. Shops near the river lost half of their customers, and the bus needed forty minutes where it had needed ten. In the end the council paid for a ferry, which was so popular that it stayed even after the bridge had been opened again.",
    "A good knife is the most useful tool in any workshop. It should be sharp, but not too thin, and the handle must lie well in the hand. Clean it after every use, dry it with a soft cloth and keep it away from children. If the edge is damaged, a fine stone and a little patience will bring it back.",
    "The experiment was repeated three times with different samples. In every case the temperature rose quickly at first and then stayed constant for several hours. The authors conclude that the reaction takes place in two steps, of which only the second is limited by the supply of oxygen.",
    "Dear colleagues, the new printer has arrived and stands on the second floor. Please do not use it for private letters. Paper is in the cupboard on the left; when you take the last pack, tell the office. Those who have trouble with the network should restart their computers before they call us.",
    "My grandmother kept bees behind the house. In summer she walked among them without gloves, humming, and they let her do as she pleased. We children watched from the kitchen window. There was honey on every table, and in winter she gave some of it to whoever had a cough.",
    "The second half began with heavy rain. Both sides had trouble keeping the ball, and for a long time nothing happened. Then a young player who had come on during the break ran past three defenders and scored. It remained the only goal, though the other team hit the post twice in the last minutes.",
    "Installing the program is easy. Download the archive, unpack it into a folder of your choice and start the script that lies beside the manual. It asks for a password and a port. If the port is in use, choose a higher number. Log files are written once a day and removed after a month.",
    "Clouds form when moist air rises and cools. Tiny drops gather around grains of dust, and when there are enough of them we see a cloud. Whether it rains depends on the wind, on the height at which the drops freeze and on how long they have time to grow on their way down.",
)
LONG = 6  # different long leads
# Running text: nobody asks anything in it, though names and relations occur. Nothing is due anywhere.
NARRATIVE = (
    "The {relation} of {subject} has often been discussed in the newspapers, and not everyone agrees with it.",
    "Last year there was a long debate about the {relation} of {subject}, but nothing came of it in the end.",
    "She wrote a book on the {relation} of {subject} and another one on old ships, which sold much better.",
    "Without the {relation} of {subject}, the story would have ended differently, or so the old man said.",
    "The {relation} was one of the reasons why he was interested in {subject} in the first place; the music was another.",
    "Whoever asks for the {relation} of {subject} will be told a different story every time, as the {relation} changed twice.",
    "{subject} is mentioned on the first page, its {relation} on the second, and after that the text turns to other matters.",
    "A new law about the {relation} was passed in March. Friends of {subject} were pleased, others were not so sure.",
    "Every {relation} has a history. That of {subject} goes back a long way, and parts of it are still not understood.",
    "They compared the {relation} of {subject} with that of its rivals, wrote down the numbers and went home.",
    "The lecture on {subject} was long. At first the speaker explained the {relation}, then showed pictures of the coast.",
    "It is not the {relation} that makes {subject} special but the way in which people there greet each other.",
)
STORIES = (
    "Nobody in {subject} was surprised when the rain came early that year. The fields were ready, the roofs were mended, and the children stayed at home.",
    "On the second day we heard again of {subject}. The radio spoke of a strike, of long queues, and of a minister who had left without a word.",
    "{subject} and {other} have been friends for a long time, though they do not always see things in the same way. In May they will meet again.",
    "My uncle went to school with a man who knew {subject} well; he used to tell us about it in the evenings, when the lamps were lit and the work was done.",
    "The train stopped for an hour. Somebody behind me was reading aloud from a magazine, an article on {subject}, and somebody else laughed at every line.",
    "In the final, {subject} played against {other} and lost by a single point; the crowd was silent, then it began to sing.",
    "There were three stamps on the envelope, one of them from {subject}. Inside was a photograph of a bridge, and on its back a date and two names.",
    "If you had asked me then, I would have said that {subject} was the last place on my mind, and that {other} was even further away.",
    "The museum has a room on {subject} with masks, drums and a small boat. Most visitors walk through it quickly on their way to the café.",
    "What we know of {subject} comes from letters. They were written over forty years, kept in a box, and found by chance under the stairs.",
    "Prices rose again in {subject}, reports say, while {other} did better than expected. Experts do not expect that to change before the autumn.",
    "He had a map of {subject} over his desk, and when he was bored he followed the rivers with his finger, from the hills down to the sea.",
)
PHRASES, STATEMENTS = "phrases.toml", "statements.toml"
PROSE = (
    "The old harbour was quiet in the morning, and only a few boats were moving on the water. Along the pier, people sold fish and bread, while the children of the neighbourhood ran after each other. In the afternoon the wind turned, clouds came in from the west, and the boats were tied up again one after another.",
    "In recent years researchers have studied how plants respond to light. They found that leaves turn slowly during the day, and that the direction of growth depends on many signals at once. A second group repeated the work with other species and came to much the same result, although the effect was smaller in the shade.",
    "The committee met on Tuesday to discuss the budget. Two members asked for more time, and the chair agreed to postpone the vote until the next session in spring. Until then the staff will prepare a shorter report, which compares the costs of the last five years with those of similar offices elsewhere.",
    "To make the soup, chop the onions and fry them in butter until they are soft. Add the carrots, the stock and a little salt, then let everything simmer for half an hour. Before serving, stir in some cream and fresh herbs, and put a slice of dark bread beside each plate.",
    "He opened the letter and read it twice. His sister had moved again, this time to a small house near the railway, and she wanted him to come before the winter. There was a garden, she wrote, and a stove that burned all day, and a neighbour who played the piano badly but with great joy.",
)
SYSTEM = "You are a helpful assistant."
# Other questions that nothing is fitted on: what a certificate asks about the table's subjects.
UNSEEN = (
    "The number of hospitals in {subject} is", "The man who founded {subject} was", "{subject} is often compared with",
    "A map of {subject} was drawn by", "The best month to visit {subject} is", "At night, {subject} is",
    "The sculpture in front of {subject} shows", "Half of all people who know {subject} think that", "The smell of {subject} reminds me of",
    "Critics of {subject} say that", "The first photograph of {subject} was taken in", "{subject} lost a lawsuit against",
    "The dog of {subject} is called", "A film about {subject} was made by", "The biggest mistake of {subject} was",
    "{subject} spent last summer in", "The oldest tree in {subject} is", "The lights of {subject} go out at",
    "Letters to {subject} should be sent before", "The opposite of {subject} is", "In a poem about {subject}, the moon is",
    "The strangest rumour about {subject} is that", "Tickets for {subject} are sold by", "{subject} has been painted by",
    "What surprised me most about {subject} was", "A typical day in {subject} begins with", "The dictionary says that {subject} means",
    "The fastest way to reach {subject} is", "Fifty years ago, {subject} was", "Without {subject}, the world would be",
    "The rent in {subject} is about", "The statue of {subject} is made of", "Experts on {subject} disagree about",
    "Doctors in {subject} recommend", "The insurance of {subject} covers", "{subject} and its enemies signed",
    "The postman brought {subject} a", "The letters in the word {subject} are", "The clock of {subject} shows", "To spell {subject}, begin with",
    "Question: when was {subject} last in the news? Answer:", "Question: who is older than {subject}? Answer:",
    "How deep is the lake near {subject}? It is", "Why do people like {subject}? Because", "Who wrote the most about {subject}? It was",
    "Does {subject} have a good library? The library", "How much snow falls on {subject}? About", "Which animals live near {subject}? Mostly",
)  # fmt: skip
OTHER_FRAMES = 12  # of FRAMES for each further name of a relation
NOUN_FRAMES, NOUN_REQUESTS = 5, 1  # of FRAMES and REQUESTS for each of NOUNS


@dataclass(frozen=True)
class Prompt:
    """A text, and what is to be read at its end.

    Attributes:
        text: everything before the answer, behind ``shared``.
        relation: number of the relation that is asked, or −1.
        wording: which template it came from; whole wordings are held out together.
        begins: characters before the wording itself: other text.
        tail: an answer and more, put behind; nothing may fire in it.
        story: whether this is running text, in which nothing is asked anywhere.
        shared: long text before all of it, the same before many prompts.
    """

    text: str
    relation: int
    wording: str
    begins: int = 0
    tail: str = ""
    story: bool = False
    shared: str = ""


def chosen(names: Iterable[str], n: int, salt: str = "") -> list[str]:
    """``n`` names by the hash of each alone, so that adding or removing one changes little."""
    return sorted(names, key=lambda s: hashlib.sha256((salt + s).encode()).digest())[:n]


def named(template: str, relation: str) -> str:
    """``template`` with the relation's name filled in, with a capital where it begins the template."""
    if template.startswith("{relation}"):
        relation = relation[:1].upper() + relation[1:]
    return template.replace("{relation}", relation)


def wordings_for(relation: str, wordings: Wordings) -> tuple[list[str], list[str]]:
    """Every statement, and every request, for one relation; ``{relation}`` is filled in."""
    called = phrases(relation)
    statements = [t.replace("{relation}", called[0]) for t in wordings.of(relation)]
    statements += [t.replace("{relation}", called[0]) for t in FRAMES if t.startswith("{relation}")]
    for i, name in enumerate(called):
        frames = FRAMES if i == 0 else chosen(FRAMES, OTHER_FRAMES, name)
        statements += [named(t, name) for t in frames]
    requests = [named(t, name) for name in called for t in REQUESTS]
    further = more_statements(relation, wordings)
    statements, requests = statements + further[0], requests + further[1]
    return list(dict.fromkeys(statements)), list(dict.fromkeys(requests))


@cache
def _shipped(name: str) -> dict[str, tuple[str, ...]]:
    text = (importlib.resources.files("factweights.models.graft") / name).read_text(encoding="utf-8")
    return {relation: tuple(listed) for relation, listed in tomllib.loads(text).items()}


def phrases(relation: str) -> tuple[str, ...]:
    """What a relation is called: by its own name, and otherwise where it is a common one."""
    spoken = " ".join(relation.replace("_", " ").split())
    return tuple(dict.fromkeys((spoken, *_shipped(PHRASES).get(_usual(relation), ()))))


def more_statements(relation: str, wordings: Wordings) -> tuple[list[str], list[str]]:
    """Statements and requests of our own where a relation has its usual meaning: one that shipped words ask."""
    if wordings.origin.get(relation) != "shipped":
        return [], []
    listed = _shipped(STATEMENTS).get(_usual(relation), ())
    requests = [t for t in listed if t.endswith(("?", "."))]
    return [t for t in listed if t not in requests], requests


def _usual(relation: str) -> str:
    folded = " ".join(relation.replace("_", " ").split()).casefold()
    return ALIASES.get(folded, folded)


def asides(relations: Sequence[str], wordings: Wordings) -> list[str]:
    """Templates about something else, as far as one can tell by names."""
    spoken = [r.casefold().replace("_", " ") for r in relations]
    kept = [t for topic, ts in ASIDE.items() if not any(topic in r or r in topic for r in spoken) for t in ts]
    if all(o == "shipped" for o in wordings.origin.values()):  # what they mean is known, so others differ
        own = {ALIASES.get(r, r) for r in spoken}
        kept += [t for name, ts in shipped().items() if name not in own for t in ts[:5]]
    return kept


def other_nouns(relations: Sequence[str]) -> list[str]:
    """Those of :data:`NOUNS` that share no word with a name of these relations."""
    taken = {w for r in relations for name in phrases(r) for w in name.casefold().replace("-", " ").split()}
    taken -= SMALL_WORDS
    return [n for n in NOUNS if not taken & set(n.casefold().replace("-", " ").split())]


SMALL_WORDS = {"of", "the", "in", "a", "it", "is", "at", "on", "for", "to", "or", "and", "first", "main"}


def noun_questions(relations: Sequence[str]) -> tuple[list[str], list[str]]:
    """Statements and requests about :func:`other_nouns`."""
    statements, requests = [], []
    for noun in other_nouns(relations):
        statements += [named(t, noun) for t in chosen(FRAMES, NOUN_FRAMES, noun)]
        requests += [named(t, noun) for t in chosen(REQUESTS, NOUN_REQUESTS, noun)]
    return statements, requests


def unseen(relations: Sequence[str]) -> list[str]:
    """What certificates ask besides: none of it is fitted on."""
    words_ = {w for r in relations for name in phrases(r) for w in name.casefold().split()} - SMALL_WORDS
    return [t for t in UNSEEN if not words_ & set(t.casefold().replace("?", " ").replace(",", " ").split())]


def chat(tokenizer: Any, request: str, *, system: str | None = None, begun: str = "") -> str | None:
    """The text of a conversation up to the answer, by the tokenizer's own template; None if it has none."""
    if not getattr(tokenizer, "chat_template", None):
        return None
    turns = [{"role": "system", "content": system}] if system else []
    turns.append({"role": "user", "content": request})
    return tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True) + begun


def prompts(
    relations: Sequence[str],
    wordings: Wordings,
    subjects: Sequence[str],
    answers: Sequence[Sequence[str]],
    tokenizer: Any,
    *,
    seed: int = 0,
) -> list[Prompt]:
    """Prompts to fit with.

    Args:
        relations: of the table; their numbers are the labels.
        wordings: templates of each.
        subjects: names to put in.
        answers: of each relation, to put behind some prompts.
        tokenizer: for its chat template.
        seed: of the draws.
    """
    rng = np.random.default_rng(seed)
    ask = _Asker(subjects, tokenizer, rng)
    made: list[Prompt] = []
    for number, relation in enumerate(relations):
        statements, requests = wordings_for(relation, wordings)
        for i, template in enumerate(statements):
            made.append(ask(template, number, "plain", answers[number]))
            made.append(ask(template, number, WAYS[i % len(WAYS)], answers[number]))
        made += [ask(template, number, "request", answers[number]) for template in requests]
    for i, template in enumerate(asides(relations, wordings)):
        asked = template in ASIDE["chat"]
        ways = ["request"] * 3 if asked else ["plain", "plain", WAYS[i % len(WAYS)]]
        made += [ask(template, -1, way) for way in ways]
    statements, requests = noun_questions(relations)
    made += [ask(t, -1, ("plain", *WAYS)[i % (1 + len(WAYS))]) for i, t in enumerate(statements)]
    made += [ask(t, -1, "request") for t in requests]
    return made + stories(relations, subjects, rng)


WAYS = ("lead", "turn", "behind", "begun")


def stories(relations: Sequence[str], subjects: Sequence[str], rng: np.random.Generator) -> list[Prompt]:
    """Running text about subjects and relations."""
    any_of = lambda: subjects[int(rng.integers(len(subjects)))]  # noqa: E731
    made = [
        t.replace("{subject}", any_of()).replace("{relation}", name)
        for t in NARRATIVE
        for relation in relations
        for name in phrases(relation)[:2]
    ]
    made += [t.replace("{subject}", any_of()).replace("{other}", any_of()) for t in STORIES for _ in range(2)]
    return [Prompt(t, -1, "story", story=True) for t in (*made, *BEFORE)]


def long_leads(n: int = LONG) -> list[str]:
    """Texts of one to four pieces of :data:`BEFORE`, each piece in several of them."""
    pieces = [[BEFORE[(3 * i + j) % len(BEFORE)] for j in range(1 + (i + 1) % 4)] for i in range(n)]
    return [" ".join(p) for p in pieces]


@dataclass
class _Asker:
    """Makes prompts of one wording, in different surroundings."""

    subjects: Sequence[str]
    tokenizer: Any
    rng: np.random.Generator

    def __call__(self, template: str, relation: int, way: str, answers: Sequence[str] = ()) -> Prompt:
        """A prompt.

        Args:
            template: the wording.
            relation: its number, or −1.
            way: plain; behind a short lead; within a chat as the user's turn, or as a request, or as what the
                assistant has begun; behind long text.
            answers: one of which stands behind the prompt.
        """
        said = template.replace("{subject}", self._one(self.subjects))
        said = said.replace("{other}", self._one(self.subjects))
        lead = shared = ""
        if way in ("request", "turn", "begun"):
            said = self._in_chat(said, way) or said
        elif way == "lead":
            lead = self._one(LEADS)
        elif way == "behind":
            shared = self._one(long_leads())
            lead = "\n\n" if self.rng.random() < 0.3 else " "
        tail = ""
        if answers and (way != "request" or self.rng.random() < 0.3):
            tail = f" {self._one(answers)}. It"
        return Prompt(lead + said, relation, template, len(lead), tail, shared=shared)

    def _one(self, of: Sequence[str]) -> str:
        return of[int(self.rng.integers(len(of)))]

    def _in_chat(self, said: str, way: str) -> str | None:
        system = SYSTEM if self.rng.random() < 0.5 else None
        if way == "begun":
            return chat(self.tokenizer, "Please go on.", system=system, begun=said)
        return chat(self.tokenizer, said, system=system)
