/* Everything the widget says, in English and Chinese, and how it writes dates. */

const TEXTS = {
  en: {
    title: "Help", launcher: "Open chat", launcherUnread: "Open chat, new message", close: "Close chat",
    greeting: "Hello! How can we help you today?",
    bot: "Automated assistant", connecting: "Connecting…", closed: "Conversation ended",
    waiting: (n) => (n ? `You are number ${n} in the queue` : "Waiting for a colleague"),
    human: (name) => (name ? `${name} is here for you` : "Our team is here for you"),
    noteHuman: (name) => (name ? `${name} joined the conversation` : "A colleague joined the conversation"),
    noteWaiting: "We are fetching a colleague", noteBot: "The assistant answers again",
    noteClosed: "The conversation has ended", noteErased: "Content was removed",
    conversation: "Conversation", suggestions: "Suggested questions", input: "Your message",
    placeholder: "Write a message…", send: "Send message", stop: "Stop answer", latest: "Jump to latest",
    person: "Talk to a person", personAsked: "We are looking for a colleague…", reach: "Reach our team directly",
    fresh: "New conversation", freshAsk: "Start a new conversation?",
    freshDetail: "This one will no longer be shown on this device.", freshYes: "Start new", cancel: "Cancel",
    sending: "Sending…", sent: "Sent", failed: "Not sent", retry: "Try again", held: "Sends once you are connected",
    queued: (n) => (n ? `In line, number ${n}` : "In line, sends shortly"),
    thinking: "Thinking…", searching: "Looking it up…", writing: "Writing…", inLine: "In line…", typing: (name) => `${name} is typing…`,
    sources: (n) => `Sources (${n})`, copy: "Copy answer", copied: "Copied", reword: "In other words",
    up: "Helpful", down: "Not helpful", comment: "What was missing? (optional)", commentSend: "Send feedback",
    thanks: "Thank you for your feedback.", interrupted: "Stopped", cut: "The answer was shortened",
    broken: "The answer could not be completed", you: "You", assistant: "Assistant", team: "Our team",
    offline: "You are offline. We reconnect as soon as you are back.", reconnecting: "Connection lost. Reconnecting…",
    retryNow: "Try now", refused: "The chat is not available on this site.",
    replaced: "The chat continues in another window.", here: "Continue here",
    tooFast: "That was a little fast. Please wait a moment and try again.", tooLong: "This message is too long.",
    error: "Something went wrong. Please try again.", today: "Today", yesterday: "Yesterday",
    left: (n) => `${n} characters left`, over: (n) => `${n} characters too many`,
    attach: "Attach a file", fileSending: (percent) => `Sending… ${percent} %`, fileSent: (name) => `${name} was sent`,
    fileCancel: (name) => `Cancel sending ${name}`, fileRemove: "Remove", download: (name) => `Download ${name}`,
    fileTooLarge: (mb) => `This file is too large. Files may have up to ${mb} MB.`, fileEmpty: "This file is empty.",
    fileType: (_, endings) => `Files of this type cannot be sent. You can send ${endings}.`,
    fileRefused: "This file is damaged or of another type.", fileQuota: "You have sent many files. Please try again later.",
    fileOffline: "There is no connection. Please try again in a moment.", fileFailed: "The file was not sent.",
    fileMissing: "This file cannot be downloaded.", fileMany: "Please wait until the other files are sent.",
  },
  zh: {
    title: "在线客服", launcher: "打开聊天", launcherUnread: "打开聊天，有新消息", close: "关闭聊天",
    greeting: "您好！请问有什么可以帮您？",
    bot: "智能助手", connecting: "正在连接…", closed: "会话已结束",
    waiting: (n) => (n ? (n > 1 ? `您前面还有 ${n - 1} 位，请稍候` : "您排在第一位，请稍候") : "正在为您转接人工"),
    human: (name) => (name ? `${name} 正在为您服务` : "人工客服正在为您服务"),
    noteHuman: (name) => (name ? `${name} 已加入会话` : "人工客服已加入会话"),
    noteWaiting: "正在为您转接人工客服", noteBot: "智能助手继续为您服务",
    noteClosed: "会话已结束", noteErased: "内容已删除",
    conversation: "会话内容", suggestions: "常见问题", input: "您的消息",
    placeholder: "请输入您的问题…", send: "发送", stop: "停止回答", latest: "回到最新消息",
    person: "转人工客服", personAsked: "正在为您联系人工客服…", reach: "直接联系我们",
    fresh: "新会话", freshAsk: "开始新的会话？",
    freshDetail: "当前会话将不再显示在此设备上。", freshYes: "开始新会话", cancel: "取消",
    sending: "发送中…", sent: "已发送", failed: "未发送", retry: "重试", held: "连接恢复后自动发送",
    queued: (n) => (n ? `排队中，第 ${n} 位` : "排队中，稍后自动发送"),
    thinking: "正在思考…", searching: "正在查找…", writing: "正在回答…", inLine: "排队中…", typing: (name) => `${name}正在输入…`,
    sources: (n) => `参考来源（${n}）`, copy: "复制回答", copied: "已复制", reword: "换个说法",
    up: "有帮助", down: "没有帮助", comment: "哪里不够好？（选填）", commentSend: "提交反馈",
    thanks: "感谢您的反馈。", interrupted: "已停止", cut: "回答已截断",
    broken: "回答未能完成", you: "您", assistant: "智能助手", team: "人工客服",
    offline: "网络已断开，恢复后会自动重新连接。", reconnecting: "连接中断，正在重新连接…",
    retryNow: "立即重试", refused: "此网站暂时无法使用在线聊天。",
    replaced: "聊天已在另一个窗口继续。", here: "在此继续",
    tooFast: "发送得有点快，请稍后再试。", tooLong: "消息太长了。",
    error: "出了点问题，请重试。", today: "今天", yesterday: "昨天",
    left: (n) => `还可输入 ${n} 字`, over: (n) => `超出 ${n} 字`,
    attach: "发送文件", fileSending: (percent) => `正在上传… ${percent}%`, fileSent: (name) => `已发送 ${name}`,
    fileCancel: (name) => `取消发送 ${name}`, fileRemove: "移除", download: (name) => `下载 ${name}`,
    fileTooLarge: (mb) => `文件太大，最大支持 ${mb} MB。`, fileEmpty: "这个文件是空的。",
    fileType: (_, endings) => `不支持此类文件，可发送 ${endings}。`,
    fileRefused: "文件已损坏或类型不符。", fileQuota: "您发送的文件较多，请稍后再试。",
    fileOffline: "当前没有连接，请稍后再试。", fileFailed: "文件未发送。",
    fileMissing: "无法下载此文件。", fileMany: "请等待其他文件发送完毕。",
  },
};

/** Which text explains an error code of the wire; others get `error`. */
export const ERROR_TEXTS = { rate_limited: "tooFast", text_too_long: "tooLong", too_large: "tooLong" };

/** The tag as BCP 47, or "en" where it is not one. */
export function canonicalLocale(tag) {
  try {
    return Intl.getCanonicalLocales(tag.replaceAll("_", "-"))[0];
  } catch {
    return "en";
  }
}

/** The texts for a locale, `locale` among them: Chinese for zh-*, English for all others. */
export function textsFor(locale) {
  const language = locale.toLowerCase().startsWith("zh") ? "zh" : "en";
  return { ...TEXTS[language], locale: locale.toLowerCase().startsWith(language) ? locale : language };
}

/** Dates, times and sizes in the language of the texts. */
export class Calendar {
  constructor(texts) {
    this.texts = texts;
    this.time = new Intl.DateTimeFormat(texts.locale, { timeStyle: "short" });
    this.date = new Intl.DateTimeFormat(texts.locale, { weekday: "long", day: "numeric", month: "long" });
  }

  /** A file's size, in the units of the language. */
  size(bytes) {
    const [unit, amount] = bytes < 1_000_000 ? ["kilobyte", bytes / 1_000] : ["megabyte", bytes / 1_000_000];
    const style = { style: "unit", unit, unitDisplay: "short", maximumFractionDigits: amount < 10 ? 1 : 0 };
    return new Intl.NumberFormat(this.texts.locale, style).format(Math.max(amount, 0.1));
  }

  day(moment) {
    const midnight = (date) => new Date(date.getFullYear(), date.getMonth(), date.getDate()).getTime();
    const daysAgo = Math.round((midnight(new Date()) - midnight(moment)) / 86_400_000);
    return [this.texts.today, this.texts.yesterday][daysAgo] ?? this.date.format(moment);
  }
}
