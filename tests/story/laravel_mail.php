<?php
// php laravel_mail.php AUTOLOAD ENV KEY: the mail of the how-to by Laravel's MailManager, sent twice as a job that is tried
// again does. ENV has lines of an .env file; what becomes of them is as in Laravel's own config/mail.php.
use Illuminate\Container\Container;
use Illuminate\Contracts\View\Factory;
use Illuminate\Mail\MailManager;

[, $autoload, $env, $key] = $argv;
require 'Egulias/EmailValidator/autoload.php'; // Debian's Swift Mailer forgets it
require $autoload;

$lines = array_map(fn ($value) => $value === 'null' ? null : $value, parse_ini_string($env, false, INI_SCANNER_RAW));
$app = new Container();
$app->instance('config', [
    'mail.driver' => null,
    'mail.default' => $lines['MAIL_MAILER'],
    'mail.mailers.smtp' => [
        'transport' => 'smtp',
        'scheme' => $lines['MAIL_SCHEME'] ?? null,
        'encryption' => $lines['MAIL_ENCRYPTION'] ?? null,
        'host' => $lines['MAIL_HOST'] ?? null,
        'port' => $lines['MAIL_PORT'] ?? null,
        'username' => $lines['MAIL_USERNAME'] ?? null,
        'password' => $lines['MAIL_PASSWORD'] ?? null,
        'timeout' => null,
    ],
    'mail.mailers.sendmail' => ['transport' => 'sendmail', 'path' => $lines['MAIL_SENDMAIL_PATH'] ?? null],
    'mail.from' => ['address' => 'shop@example.com', 'name' => 'Bücherei'],
    'mail.reply_to' => null,
    'mail.to' => null,
    'mail.return_path' => null,
]);
$app->bind('events', fn () => null);
$app->instance('view', new class implements Factory {
    public function exists($view) {}
    public function file($path, $data = [], $mergeData = []) {}
    public function make($view, $data = [], $mergeData = []) {}
    public function share($key, $value = null) {}
    public function composer($views, $callback) {}
    public function creator($views, $callback) {}
    public function addNamespace($namespace, $hints) {}
    public function replaceNamespace($namespace, $hints) {}
});
$mailer = (new MailManager($app))->mailer();
for ($try = 0; $try < 2; $try++) {
    $mailer->raw("Danke.\n.\nBis bald.", function ($mail) use ($key) {
        $mail->to('ada@example.org', 'Ada Łovelace')->bcc('archive@example.com')->subject('Grüße');
        $mail->attachData('PDF', 'Rechnung ü.pdf', ['mime' => 'application/pdf']);
        $mail->getHeaders()->addTextHeader('X-Sesq-Tags', 'kind=receipt');
        $mail->getHeaders()->addTextHeader('X-Sesq-Key', $key);
    });
}
