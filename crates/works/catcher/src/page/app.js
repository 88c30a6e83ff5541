// The page of the mail catcher: a list on the left that renews itself, a message on the right.
// Everything that comes out of a message is put into the page as text; its HTML is shown in a frame without rights.

const REFRESH_MS = 2000;
const $ = (id) => document.getElementById(id);

/** An element with text and attributes. */
function make(name, text, attributes = {}) {
  const element = document.createElement(name);
  element.textContent = text;
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  return element;
}

async function ask(path, options) {
  const response = await fetch(path, options);
  if (!response.ok) throw new Error(`${response.status} ${await response.text()}`);
  return response;
}

const shownPerson = (person) => (person.Name ? `${person.Name} <${person.Address}>` : person.Address);
const shownPeople = (people) => people.map(shownPerson).join(', ');

function shownTime(text) {
  const time = new Date(text);
  const today = new Date().toDateString() === time.toDateString();
  return today
    ? time.toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' })
    : time.toLocaleDateString([], { day: 'numeric', month: 'short' });
}

let current = null;
let listed = '';

async function refresh() {
  const query = $('search').value.trim();
  const path = query ? `/api/v1/search?limit=200&query=${encodeURIComponent(query)}` : '/api/v1/messages?limit=200';
  const found = await (await ask(path)).json();
  if (query !== $('search').value.trim()) return;
  const state = JSON.stringify([found, current]);
  if (state === listed) return;
  listed = state;
  $('count').textContent = found.total ? `${found.total}${found.unread ? `, ${found.unread} new` : ''}` : '';
  document.title = found.unread ? `(${found.unread}) Mail` : 'Mail';
  $('clear').hidden = found.total === 0;
  $('empty').hidden = found.messages.length > 0;
  $('empty').textContent = query ? 'Nothing fits the search.' : 'No messages yet.';
  const focused = document.activeElement?.closest?.('#list a')?.getAttribute('href');
  $('list').replaceChildren(...found.messages.map(entry));
  if (focused) $('list').querySelector(`a[href="${CSS.escape(focused).replace('\\#', '#')}"]`)?.focus();
}

function entry(message) {
  const link = make('a', '', { href: `#${message.ID}` });
  if (!message.Read) link.className = 'unread';
  if (message.ID === current) link.setAttribute('aria-current', 'true');
  link.append(
    make('span', shownPeople([...message.To, ...message.Bcc]), { class: 'to' }),
    make('time', shownTime(message.Created), { class: 'at', datetime: message.Created }),
    make('span', message.Subject || '(no subject)', { class: 'subject' }),
    make('span', message.Snippet, { class: 'snippet' }),
  );
  const item = document.createElement('li');
  item.append(link);
  return item;
}

/** Codes and links that people look for in such messages. */
function finds(message) {
  const code = `${message.Subject}\n${message.Text}`.match(/(?<![\d\w/=&.-])\d{6,10}(?![\d\w/=&.-])/);
  const found = [];
  if (code) {
    const button = make('button', '', { type: 'button', title: 'Copy the code' });
    button.append(make('b', code[0]), make('span', 'Copy'));
    button.addEventListener('click', async () => {
      await navigator.clipboard.writeText(code[0]);
      button.lastChild.textContent = 'Copied';
    });
    found.push(button);
  }
  // The text has the links of the HTML, without whatever else is in there.
  const links = [...message.Text.matchAll(/https?:\/\/[^\s<>"]+/g)].map(([url]) => url);
  const link = links.find((url) => /verify|token|confirm|code/.test(url));
  if (link) {
    found.push(make('a', 'Open the link', { href: link, target: '_blank', rel: 'noopener noreferrer', title: link }));
  }
  return found;
}

async function open(id) {
  current = id;
  const message = await (await ask(`/api/v1/message/${encodeURIComponent(id)}`)).json();
  if (current !== id) return;
  $('nothing').hidden = true;
  $('message').hidden = false;
  $('subject').textContent = message.Subject || '(no subject)';
  const rows = [
    ['From', shownPerson(message.From)],
    ['To', shownPeople(message.To)],
    ['Cc', shownPeople(message.Cc)],
    ['Bcc', shownPeople(message.Bcc)],
    ['Date', new Date(message.Date).toLocaleString()],
    ['Files', ''],
  ];
  $('people').replaceChildren();
  for (const [name, value] of rows) {
    const files = name === 'Files' ? message.Attachments : [];
    if (!value && !files.length) continue;
    const cell = make('dd', value);
    for (const file of files) {
      const url = `/api/v1/message/${encodeURIComponent(id)}/part/${encodeURIComponent(file.PartID)}`;
      cell.append(make('a', file.FileName || 'file', { href: url, download: file.FileName }), ' ');
    }
    $('people').append(make('dt', name), cell);
  }
  $('finds').replaceChildren(...finds(message));
  const url = `/api/v1/message/${encodeURIComponent(id)}`;
  const tabs = {
    HTML: message.HTML && (() => frame(`/view/${encodeURIComponent(id)}.html?embed=1`)),
    Text: async () => message.Text,
    Headers: async () => shownHeaders(await (await ask(`${url}/headers`)).json()),
    Source: async () => (await ask(`${url}/raw`)).text(),
  };
  const buttons = Object.entries(tabs).filter(([, show]) => show).map(([name, show]) => {
    const button = make('button', name, { type: 'button', role: 'tab' });
    button.addEventListener('click', () => choose(button, show));
    return button;
  });
  $('tabs').replaceChildren(...buttons);
  buttons[0].click();
  refresh().catch(report);
}

const shownHeaders = (headers) =>
  Object.entries(headers).flatMap(([name, values]) => values.map((value) => `${name}: ${value}`)).join('\n');

function frame(url) {
  $('html').src = url;
  return null;
}

async function choose(button, show) {
  for (const other of $('tabs').children) other.setAttribute('aria-selected', String(other === button));
  const text = await show();
  $('html').hidden = text !== null;
  $('text').hidden = text === null;
  $('text').textContent = text ?? '';
}

function close() {
  current = null;
  $('message').hidden = true;
  $('nothing').hidden = false;
  history.replaceState(null, '', '/');
}

async function remove(ids) {
  await ask('/api/v1/messages', { method: 'DELETE', body: JSON.stringify({ IDs: ids }) });
  close();
  await refresh();
}

function report(error) {
  $('empty').hidden = false;
  $('empty').textContent = `The mail catcher does not answer: ${error.message}`;
}

function follow() {
  const id = location.hash.slice(1);
  if (id) open(id).catch(() => close());
}

$('search').addEventListener('input', () => refresh().catch(report));
$('delete').addEventListener('click', () => current && remove([current]).catch(report));
$('clear').addEventListener('click', () => {
  if (confirm('Delete all messages?')) remove([]).catch(report);
});
addEventListener('hashchange', follow);
document.addEventListener('keydown', (event) => {
  if (event.key === '/' && event.target.tagName !== 'INPUT') {
    event.preventDefault();
    $('search').focus();
  }
});
setInterval(() => document.visibilityState === 'visible' && refresh().catch(report), REFRESH_MS);
refresh().catch(report);
follow();
